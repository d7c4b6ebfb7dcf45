# Fits a model of late arrivals and writes what serving needs: Rscript fit.R flights.csv
# model.rds (the model), signature.json (what a row holds), expected.json (what R itself predicts for the first rows)
library(jsonlite)

flights <- read.csv(commandArgs(trailingOnly = TRUE)[1], stringsAsFactors = FALSE)
model <- glm(late ~ hour + distance + carrier, family = binomial, data = flights)
saveRDS(model, "model.rds")

input <- function(name, type) list(name = name, type = type)
signature <- list(
  inputs = list(input("hour", "integer"), input("distance", "float"), input("carrier", "string")),
  output = list(name = "prediction", type = "float")
)
write(toJSON(signature, auto_unbox = TRUE), "signature.json")
expected <- predict(model, head(flights, 5), type = "response")
write(toJSON(unname(expected), digits = NA), "expected.json")

# Answers the Open Inference Protocol with a model that R fitted. Loopline starts it, says where the model's files are
# (LOOPLINE_MODEL_DIR) and where to listen (LOOPLINE_SOCKET), and ends it.
library(httpuv)
library(jsonlite)

model <- readRDS(file.path(Sys.getenv("LOOPLINE_MODEL_DIR"), "model.rds"))

answer <- function(status, body) {
  list(status = status, headers = list("Content-Type" = "application/json"),
       body = toJSON(body, auto_unbox = TRUE, digits = NA))
}

rows <- function(inputs) {
  columns <- lapply(inputs, function(tensor) {
    unlist(lapply(tensor$data, function(value) if (is.null(value)) NA else value))
  })
  names(columns) <- vapply(inputs, function(tensor) tensor$name, "")
  as.data.frame(columns, stringsAsFactors = FALSE)
}

infer <- function(request) {
  asked <- fromJSON(rawToChar(request$rook.input$read()), simplifyVector = FALSE)
  values <- unname(predict(model, rows(asked$inputs), type = "response"))
  output <- list(name = "prediction", shape = I(length(values)), datatype = "FP64", data = I(values))
  answer(200L, list(outputs = list(output)))
}

app <- list(call = function(request) {
  tryCatch(
    if (request$REQUEST_METHOD == "POST") infer(request) else answer(200L, list(ready = TRUE)),
    error = function(problem) answer(400L, list(error = conditionMessage(problem)))
  )
})

server <- startPipeServer(Sys.getenv("LOOPLINE_SOCKET"), strtoi("077", 8L), app)
repeat service(1000)

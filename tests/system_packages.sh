#!/bin/sh
# What tests need that is not Python. Installed where this user may; elsewhere the tests that need it are skipped by name.
set -u
missing=""
for pair in chromium:chromium Rscript:r-base-core promtool:prometheus wrk:wrk; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
for package in jsonlite httpuv; do
    ls -d /usr/lib/R/*library/$package /usr/local/lib/R/*library/$package 2>/dev/null | grep -q . || missing="$missing r-cran-$package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >/dev/null ||
        echo "could not install$missing"
else
    echo "to run every test: apt-get install$missing"
fi
exit 0

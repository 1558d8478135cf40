#!/bin/sh
# Prints the path of a program written in Go, which is compiled once per version and is no part of the
# module.
# usage: tool.sh MODULE@VERSION
set -eu
cd "$(dirname "$0")/.."
program=${1%@*}
tool=$PWD/build/tools/${1##*@}/${program##*/}
[ -x "$tool" ] || env -u GOOS -u GOARCH CGO_ENABLED=0 GOBIN="${tool%/*}" go install "$1"
echo "$tool"

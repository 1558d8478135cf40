package main

const importHelp = `TODO`

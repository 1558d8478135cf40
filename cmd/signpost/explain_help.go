package main

const explainDescription = `Lets the code of signpostd decide.`

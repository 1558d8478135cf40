package main

const sendDescription = `Sends.`

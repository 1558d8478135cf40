package view

import (
	"time"

	"signpost/keystore/report/tally"
)

// Reports is how the reading of DMARC reports goes.
type Reports struct {
	Path       string         `json:"path"`
	Read       time.Time      `json:"read,omitzero"` // when they were last looked at; zero before the first time
	Files      int            `json:"files"`
	Reports    int            `json:"reports"`
	Unreadable int            `json:"unreadable"`
	Left       int            `json:"left_out"` // files that were not read, for there are too many
	Failing    time.Time      `json:"failing_since,omitzero"`
	Why        string         `json:"why,omitempty"`
	Domains    map[string]int `json:"domains_by_verdict"`
}

// DMARC is what the reports say of a domain. Names and texts in it are from mail that
// anybody can send.
type DMARC struct {
	Last      time.Time     `json:"last_report"` // its day
	Reports   int           `json:"reports"`
	Reporters int           `json:"reporters"`
	Messages  tally.Count   `json:"messages"`
	Policy    string        `json:"policy"` // p= as it was last reported
	Verdict   tally.Verdict `json:"verdict"`
}

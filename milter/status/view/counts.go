package view

import (
	"time"

	"signpost/milter"
)

// Result is what happened to a message.
type Result string

// The results of a message.
const (
	Signed   Result = "signed"
	Unsigned Result = "unsigned" // accepted without a signature
	TempFail Result = "tempfail" // deferred (451 4.7.1)
	Rejected Result = "rejected" // refused (550 5.7.1)
)

// Counts is what became of the messages of a time, the most frequent first.
type Counts []Count

// Count is how many messages had a result for a reason.
type Count struct {
	Reason   milter.Reason `json:"reason"`
	Result   Result        `json:"result"`
	Messages uint64        `json:"messages"`
	Last     Example       `json:"last"`
}

// Example is the last of the messages that were counted.
type Example struct {
	Time   time.Time `json:"time"`
	Queue  string    `json:"queue,omitempty"`
	Client string    `json:"client"`
	Author string    `json:"author,omitempty"` // author domain
	Error  string    `json:"error,omitempty"`
}

// Messages returns how many messages had the result.
func (c Counts) Messages(result Result) (n uint64) {
	for _, count := range c {
		if count.Result == result {
			n += count.Messages
		}
	}
	return n
}

// Results returns all results.
func Results() []Result { return []Result{Signed, Unsigned, TempFail, Rejected} }

// Word is what a result is called where people read it.
func (r Result) Word() string {
	switch r {
	case TempFail:
		return "deferred"
	case Rejected:
		return "refused"
	}
	return string(r)
}

// Day is how many messages there were of each result, step by step: /messages.json.
type Day struct {
	Domain   string    `json:"domain,omitempty"` // of all when it is empty
	Together bool      `json:"counted_together,omitempty"`
	Since    time.Time `json:"since"` // when counting began, at the start of signpostd
	Step     int       `json:"step_seconds"`
	Steps    []Step    `json:"steps"` // of 24 hours, the oldest first; the last one runs
}

// Step is what was counted from a time on.
type Step struct {
	Time     time.Time `json:"time"`
	Signed   uint64    `json:"signed"`
	Unsigned uint64    `json:"unsigned"`
	Deferred uint64    `json:"deferred"`
	Refused  uint64    `json:"refused"`
}

// Of returns the messages of a step that had a result.
func (s *Step) Of(result Result) *uint64 {
	switch result {
	case Signed:
		return &s.Signed
	case TempFail:
		return &s.Deferred
	case Rejected:
		return &s.Refused
	}
	return &s.Unsigned
}

// Messages returns all messages of a step.
func (s *Step) Messages() uint64 { return s.Signed + s.Unsigned + s.Deferred + s.Refused }

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
)

// Hour is what became of the messages of the last hour, the most frequent
// first.
type Hour []Count

// Count is how many messages of the last hour had a result for a reason.
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
func (h Hour) Messages(result Result) (n uint64) {
	for _, c := range h {
		if c.Result == result {
			n += c.Messages
		}
	}
	return n
}

// Deferred returns how many messages were deferred.
func (h Hour) Deferred() uint64 { return h.Messages(TempFail) }

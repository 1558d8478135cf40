// Package view is what signpostd says of itself: the types of /status.json, which
// package status fills in, and the Client that reads it.
package view

import (
	"errors"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/rotation"
)

// Key is a key of a domain, or a file that should be one. Fields that do not
// apply are empty. Texts from the DNS and names on disk stand as they are: what
// shows them makes them safe.
type Key struct {
	Selector  string         `json:"selector"`
	Algorithm string         `json:"algorithm"` // rsa or ed25519
	Bits      int            `json:"bits"`
	File      string         `json:"file"`
	Stage     rotation.Stage `json:"stage"`
	Since     time.Time      `json:"since,omitzero"`      // when the stage began
	Made      time.Time      `json:"made,omitzero"`       // the time of the file
	Evidence  string         `json:"evidence,omitempty"`  // what the DNS says
	Checked   time.Time      `json:"checked,omitzero"`    // when the DNS last answered clearly
	Next      time.Time      `json:"next_check,omitzero"` // when it is queried again
	// Failure is why the DNS gave no clear answer, or what is wrong with the file.
	Failure     string `json:"failure,omitempty"`
	RecordName  string `json:"record_name,omitempty"`
	RecordValue string `json:"record_value,omitempty"` // of the TXT record, in one piece
	Publish     bool   `json:"publish,omitempty"`      // that record should be, and is not
	Advice      string `json:"advice,omitempty"`       // what to do next
	// Reports is what receivers report of a key that no longer signs, where they are read.
	Reports *rotation.Testimony `json:"reports,omitempty"`
}

// Domain is a domain that the key directory or a setting names.
type Domain struct {
	Name     string         `json:"domain"`
	Must     bool           `json:"must_be_signed"` // its mail is deferred or refused rather than sent unsigned
	Problems []string       `json:"problems,omitempty"`
	Keys     []Key          `json:"keys"` // the newest first
	Stage    rotation.Stage `json:"stage"`
	Tasks    []Task         `json:"attention,omitempty"` // the urgent first
	Hour     Counts         `json:"last_hour"`
	Day      Counts         `json:"last_day"`
	Together bool           `json:"counted_together,omitempty"` // with other domains, so Hour and Day are empty
	DMARC    *DMARC         `json:"dmarc,omitempty"`            // none without reports on it
}

// Task is what somebody should do for a domain, or know of it.
type Task struct {
	Selector string `json:"selector,omitempty"`
	Urgent   bool   `json:"urgent"` // mail is deferred, or cannot be verified
	Text     string `json:"text"`
}

// View is what there is to see at one moment: all of it but for the domains,
// of which it has a page.
type View struct {
	Version  string                 `json:"version"`
	Started  time.Time              `json:"started"`
	Now      time.Time              `json:"now"`
	Ready    bool                   `json:"ready"`
	NotReady []string               `json:"not_ready,omitempty"`   // why nothing can be signed
	Unsigned []string               `json:"cannot_sign,omitempty"` // domains whose mail is deferred, and why
	Invalid  []string               `json:"misfits,omitempty"`     // what is wrong with files of no domain
	Held     *Held                  `json:"held,omitempty"`        // keys whose files are missing
	Stores   []Store                `json:"stores,omitempty"`      // of keys, that are reached over the network
	AlsoSign *AlsoSign              `json:"also_sign,omitempty"`   // of the relay's own domain
	Round    *Round                 `json:"dns_round,omitempty"`   // how the DNS is asked; none when it is not
	Reports  *Reports               `json:"reports,omitempty"`     // none when no reports are read
	Listen   []string               `json:"listen"`                // the milter sockets
	Keys     map[rotation.Stage]int `json:"keys"`
	Hour     Counts                 `json:"last_hour"` // of all domains, and of mail from others
	Day      Counts                 `json:"last_day"`

	Query     string                 `json:"query,omitempty"`
	Show      string                 `json:"show,omitempty"` // "attention" or a stage
	Domain    string                 `json:"exact_domain,omitempty"`
	Page      int                    `json:"page"`
	Pages     int                    `json:"pages"`
	Total     int                    `json:"total"`            // domains
	Attention int                    `json:"attention"`        // of them, those that need it
	Stages    map[rotation.Stage]int `json:"domains_by_stage"` // of them, those that have such a key
	Unread    int                    `json:"unread,omitempty"` // of them, those whose keys were not needed yet
	Matching  int                    `json:"matching"`         // domains that the query asks for
	Domains   []Domain               `json:"domains"`          // those that need attention first
}

// AlsoSign is what the relay's own domain signs.
type AlsoSign struct {
	Domain     string `json:"domain"`
	WithoutKey bool   `json:"without_key"`       // only mail whose author domain has no key
	Problem    string `json:"problem,omitempty"` // why it cannot
}

// Held is which keys stay in force though their files are missing.
type Held struct {
	Keys  int       `json:"keys"`
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

// Store is a store of keys that is reached over the network.
type Store struct {
	Name     string    `json:"store"`
	Answered time.Time `json:"answered,omitzero"`      // when it last did
	Listed   bool      `json:"listed"`                 // it has said which domains it has keys for
	Watched  bool      `json:"watched"`                // it reports changes at once
	Failing  time.Time `json:"failing_since,omitzero"` // since when it does not answer
	Why      string    `json:"why,omitempty"`          // and why
}

// Round is how the records of all keys are asked for again and again.
type Round struct {
	Seconds int      `json:"seconds"` // in which each is asked for once; 0 before the first round
	Domains int      `json:"domains"` // that this node asks about
	Nodes   []string `json:"nodes"`   // that divide the questions, this one too
}

// Length returns how long a round takes.
func (r *Round) Length() time.Duration { return time.Duration(r.Seconds) * time.Second }

// Err says why signpostd is not ready, each reason with its hint; nil when it is.
func (v *View) Err() error {
	if !v.Ready && len(v.NotReady) == 0 {
		return errors.New("signpostd is not ready")
	}
	return joined(v.NotReady)
}

// Unsignable says which domains cannot be signed, in the same way.
func (v *View) Unsignable() error { return joined(v.Unsigned) }

func joined(texts []string) error {
	var errs []error
	for _, text := range texts {
		errs = append(errs, finding.ParseError(text))
	}
	return errors.Join(errs...)
}

// DNS says what is known of the record in the DNS.
func (k Key) DNS() string {
	switch {
	case k.Failure == "":
		return k.Evidence
	case k.Evidence == "":
		return k.Failure
	}
	return k.Evidence + "; not known now: " + k.Failure
}

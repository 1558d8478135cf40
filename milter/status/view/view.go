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
}

// Domain is a domain that the key directory or a setting names.
type Domain struct {
	Name     string   `json:"domain"`
	Must     bool     `json:"must_be_signed"` // its mail is deferred rather than sent unsigned
	Problems []string `json:"problems,omitempty"`
	Keys     []Key    `json:"keys"` // the newest first
	Hour     Hour     `json:"last_hour"`
	Together bool     `json:"counted_together,omitempty"` // with other domains, so Hour is empty
}

// View is what there is to see at one moment: all of it but for the domains,
// of which it has a page.
type View struct {
	Version  string                 `json:"version"`
	Started  time.Time              `json:"started"`
	Now      time.Time              `json:"now"`
	Ready    bool                   `json:"ready"`
	NotReady []string               `json:"not_ready,omitempty"` // why not
	Invalid  []string               `json:"misfits,omitempty"`   // what is wrong with files of no domain
	Listen   []string               `json:"listen"`              // the milter sockets
	Keys     map[rotation.Stage]int `json:"keys"`
	Hour     Hour                   `json:"last_hour"` // of all domains, and of mail from others

	Query     string   `json:"query,omitempty"`
	Domain    string   `json:"exact_domain,omitempty"`
	Page      int      `json:"page"`
	Pages     int      `json:"pages"`
	Total     int      `json:"total"`     // domains
	Attention int      `json:"attention"` // of them, those that need it
	Matching  int      `json:"matching"`  // domains that the query asks for
	Domains   []Domain `json:"domains"`   // those that need attention first
}

// Err says why signpostd is not ready, each reason with its hint; nil when it is.
func (v *View) Err() error {
	switch {
	case v.Ready:
		return nil
	case len(v.NotReady) == 0:
		return errors.New("signpostd is not ready")
	}
	var reasons []error
	for _, reason := range v.NotReady {
		reasons = append(reasons, finding.ParseError(reason))
	}
	return errors.Join(reasons...)
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

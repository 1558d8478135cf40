package dkim

import (
	"strings"
	"testing"
	"time"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		policy Policy
		want   string // of the error
	}{
		{"zero", Policy{}, ""},
		{"relaxed, default fields", Policy{Relaxed, Relaxed, DefaultSign(), DefaultOversign(), time.Second}, ""},
		{"no oversigning", Policy{Oversign: []string{}}, ""},
		{"case", Policy{Sign: []string{"from", "X-a"}, Oversign: []string{"FROM", "x-A"}}, ""},
		{"odd but good names", Policy{Sign: []string{"From", "!#$%&'*+-/0=?^_`{|}~"}}, ""},
		{"long name", Policy{Sign: []string{"From", strings.Repeat("x", maxFieldName)}}, ""},
		{"canonicalization", Policy{Body: 2}, "unknown canonicalization simple/Canonicalization(2)"},
		{"negative", Policy{Expiration: -time.Hour}, "expiration -1h0m0s is too short"},
		{"below a second", Policy{Expiration: time.Millisecond}, "expiration 1ms is too short"},
		{"no From", Policy{Sign: []string{"To"}}, "field From is not to be signed"},
		{"nothing", Policy{Sign: []string{}}, "field From is not to be signed"},
		{"empty name", Policy{Sign: []string{"From", ""}}, `"" is not a header field name`},
		{"blank", Policy{Sign: []string{"From", "X Y"}}, `"X Y" is not a header field name`},
		{"colon", Policy{Sign: []string{"From:To"}}, `"From:To" is not a header field name`},
		{"semicolon", Policy{Sign: []string{"From", "X;Y"}}, `"X;Y" is not a header field name`},
		{"control", Policy{Sign: []string{"From", "X\r\nY"}}, `"X\r\nY" is not a header field name`},
		{"not ASCII", Policy{Sign: []string{"From", "\u00dc"}}, `is not a header field name`},
		{"not UTF-8", Policy{Sign: []string{"From", "\xff"}}, `is not a header field name`},
		{"too long", Policy{Sign: []string{"From", strings.Repeat("x", maxFieldName+1)}}, "at most 74 characters"},
		{"twice", Policy{Sign: []string{"From", "To", "FROM"}}, "field FROM is to be signed twice"},
		{"not signed", Policy{Sign: []string{"From"}, Oversign: []string{"To"}}, `field "To" is oversigned but not signed`},
		{"oversigned twice", Policy{Oversign: []string{"To", "tO"}}, "field tO is oversigned twice"},
		{"own", Policy{Sign: []string{"From", "dkim-signature"}}, "field dkim-signature must not be signed"},
		{"trace", Policy{Sign: []string{"From", "Received"}}, "field Received must not be signed"},
		{"return", Policy{Sign: []string{"From", "Return-Path"}}, "field Return-Path must not be signed"},
		{"results", Policy{Sign: []string{"From", "Authentication-Results"}}, "must not be signed"},
		{"Bcc", Policy{Sign: []string{"From", "Bcc"}}, "field Bcc must not be signed"},
	} {
		err := c.policy.Validate()
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		t.Run(c.name, func(t *testing.T) { wantError(t, err, c.want) })
	}
}

func TestParseCanonicalization(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"relaxed/relaxed": "relaxed/relaxed",
		"relaxed/simple":  "relaxed/simple",
		"simple/relaxed":  "simple/relaxed",
		"simple":          "simple/simple",
		"relaxed":         "relaxed/simple",
		"Relaxed/SIMPLE":  "relaxed/simple",
	} {
		h, b, err := ParseCanonicalization(s)
		if got := h.String() + "/" + b.String(); err != nil || got != want {
			t.Errorf("%s: got %s, error %v, want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "/", "relaxed/", "/simple", "strict", "relaxed/relaxed/simple", " relaxed", "nowsp"} {
		_, _, err := ParseCanonicalization(s)
		wantError(t, err, "unknown canonicalization")
	}
}

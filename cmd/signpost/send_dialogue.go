package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// dialogue keeps what client and server say, and shows it as it happens.
type dialogue struct {
	Lines   []spoken
	out     io.Writer // nil when nobody looks
	style   style
	secrets []string // never shown, in any form
}

// spoken is one line: Who is "C" for us, "S" for the server, "-" for a remark.
type spoken struct {
	Who  string `json:"who"`
	Text string `json:"text"`
}

const hidden = "(hidden)"

// hide keeps a password out of the dialogue, also where the server repeats it.
func (d *dialogue) hide(user, password string) {
	if password == "" {
		return
	}
	for _, text := range []string{"\x00" + user + "\x00" + password, password} {
		d.secrets = append(d.secrets, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	d.secrets = append(d.secrets, password)
}

func (d *dialogue) clean(text string) string {
	for _, secret := range d.secrets {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return visible(text)
}

func (d *dialogue) say(who, format string, args ...any) {
	line := spoken{who, d.clean(fmt.Sprintf(format, args...))}
	d.Lines = append(d.Lines, line)
	if d.out == nil {
		return
	}
	switch who {
	case "C":
		fmt.Fprintf(d.out, "%s %s\n", d.style.bold("C:"), line.Text)
	case "S":
		fmt.Fprintf(d.out, "S: %s\n", line.Text)
	default:
		fmt.Fprintf(d.out, "-- %s\n", line.Text)
	}
}

package main

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
)

// chooseMechanism returns the first of the mechanisms that we know and the server
// offers. AUTH parameters are a list of names (RFC 4954, section 3).
func chooseMechanism(offered, user, password string) (sasl.Client, bool) {
	names := strings.Fields(strings.ToUpper(offered))
	for _, known := range []struct {
		name   string
		client sasl.Client
	}{
		{sasl.Plain, sasl.NewPlainClient("", user, password)},
		{sasl.Login, sasl.NewLoginClient(user, password)},
		{"CRAM-MD5", &cramMD5{user, password}},
	} {
		for _, name := range names {
			if name == known.name {
				return known.client, true
			}
		}
	}
	return nil, false
}

// cramMD5 is the mechanism of RFC 2195, which go-sasl leaves out. Some servers
// offer nothing else.
type cramMD5 struct{ user, password string }

func (c *cramMD5) Start() (mechanism string, initial []byte, err error) { return "CRAM-MD5", nil, nil }

func (c *cramMD5) Next(challenge []byte) ([]byte, error) {
	if len(challenge) == 0 {
		return nil, errors.New("the server sent an empty challenge")
	}
	mac := hmac.New(md5.New, []byte(c.password))
	mac.Write(challenge)
	return []byte(c.user + " " + hex.EncodeToString(mac.Sum(nil))), nil
}

// encodeSASL writes an answer; "=" is an empty one (RFC 4954, section 4).
func encodeSASL(answer []byte) string {
	if len(answer) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(answer)
}

func decodeSASL(challenge string) ([]byte, error) {
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
	if err != nil {
		return nil, errors.New("the server sent a challenge that is not base64")
	}
	return decoded, nil
}

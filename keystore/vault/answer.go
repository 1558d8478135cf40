package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"signpost/keystore/finding"
)

// answer is what all answers of the API have around them.
type answer struct {
	Data     json.RawMessage `json:"data"`
	Auth     *auth           `json:"auth"`
	Errors   *[]string       `json:"errors"`
	Warnings []string        `json:"warnings"`
}

// auth is what a login or a renewal gives.
type auth struct {
	Token     string `json:"client_token"`
	Seconds   int64  `json:"lease_duration"`
	Renewable bool   `json:"renewable"`
}

// refused is an answer that is none to what was asked.
type refused struct {
	status int
	what   string
}

func (r *refused) Error() string { return r.what }

// judge says what an answer means: there is something, or surely nothing, or it is an
// error. Only a 404 that lists no errors, or is about a version that was deleted, says that
// nothing is there: so does no other server, and no Vault that has troubles.
func judge(r response) (a answer, there bool, err error) {
	if r.status == http.StatusNoContent {
		return a, true, nil
	}
	jsonErr := json.Unmarshal(r.body, &a)
	switch {
	case r.status == http.StatusOK && jsonErr == nil && a.Errors == nil:
		return a, true, nil
	case jsonErr != nil && (r.status == http.StatusOK || r.status == http.StatusNotFound):
		return a, false, &finding.Hint{Err: &refused{r.status,
			fmt.Sprintf("the answer (%d) is not that of a Vault: it begins with %q",
				r.status, beginning(r.body))}, Advice: "is there a proxy before it, or another program at this address?"}
	case r.status == http.StatusNotFound:
		return a, false, absent(a)
	}
	said := ""
	if a.Errors != nil {
		said = oneLine(strings.Join(*a.Errors, "; "))
	}
	failed := &refused{r.status, fmt.Sprintf("%s (%d)", said, r.status)}
	if said == "" {
		failed.what = fmt.Sprintf("the answer is %d %s", r.status, http.StatusText(r.status))
	}
	return a, false, finding.WithHint(failed, "%s", advice(r, said))
}

// absent returns no error where a 404 says that nothing is there.
func absent(a answer) error {
	if a.Errors != nil && len(*a.Errors) == 0 {
		return nil
	}
	if a.Errors != nil {
		return finding.WithHint(&refused{http.StatusNotFound, oneLine(strings.Join(*a.Errors, "; ")) + " (404)"},
			"check the path in the URL: its first part, or ?mount=, is where a KV secrets engine is mounted")
	}
	var secret version
	if len(a.Data) > 0 && json.Unmarshal(a.Data, &secret) == nil && bytes.Equal(secret.Data, []byte("null")) &&
		(secret.Metadata.Deleted != "" || secret.Metadata.Destroyed) {
		return nil
	}
	hint := "check the path in the URL"
	for _, warning := range a.Warnings {
		if strings.Contains(warning, "versioned K/V") {
			hint = "the mount is KV version 2: set ?kv=2 in the URL"
		}
	}
	said := oneLine(strings.Join(a.Warnings, "; "))
	if said == "" {
		said = "the answer says neither that there is something nor that there is nothing"
	}
	return finding.WithHint(&refused{http.StatusNotFound, said + " (404)"}, "%s", hint)
}

// advice is what to do about a status.
func advice(r response, said string) string {
	switch r.status {
	case http.StatusBadRequest:
		return "check the path and its version of KV in the URL"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "the token has expired, or its policy does not allow this: keystore/README.md has one to paste"
	case http.StatusMethodNotAllowed:
		return "is this the address of a Vault, and the path that of a KV secrets engine?"
	case http.StatusPreconditionFailed:
		return "the node does not have the latest writes yet: this is tried again"
	case http.StatusTooManyRequests:
		if r.after != "" {
			return "a rate limit: raise it, or that of signpostd; it may be asked again in " + oneLine(r.after) + " s"
		}
		return "a rate limit: raise it; or the node is a standby that does not forward requests"
	case 472, 473, 474:
		return "the node is a standby: give the address of the active one, or of a load balancer"
	case http.StatusServiceUnavailable:
		if strings.Contains(said, "sealed") {
			return "unseal it: vault operator unseal"
		}
		return "it is sealed, in maintenance, or has no active node"
	}
	return "look into the log of the Vault"
}

// beginning is the start of an answer that should have been JSON. What begins as JSON may
// have a key in it, and is not shown.
func beginning(body []byte) string {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && (body[0] == '{' || body[0] == '[' || body[0] == '"') {
		body = body[:1]
	}
	return oneLine(string(body[:min(len(body), 40)]))
}

// oneLine makes one short line of what a server says, as its "2 errors occurred:\n\t* …".
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}

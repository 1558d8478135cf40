// Package look has the look of all pages that Signpost makes: the status page, and what
// the companion writes.
package look

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"strings"
)

//go:embed page.css
var css string

// CSS is the style sheet. It has light and dark colours, and loads nothing.
func CSS() string { return strings.TrimSpace(css) }

// Hash is that of a style or a script in a page, as a Content-Security-Policy allows it.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

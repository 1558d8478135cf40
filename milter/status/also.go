package status

import (
	"signpost/keystore/finding"
	"signpost/milter/status/view"
)

// alsoSign says what the relay's own domain signs, and why it cannot.
func (f *Facts) alsoSign() *view.AlsoSign {
	also := f.Rules.Also
	if also.Domain == "" {
		return nil
	}
	shown := &view.AlsoSign{Domain: also.Domain, WithoutKey: also.WithoutKey}
	if _, err := f.Book.Signing(also.Domain); err != nil {
		shown.Problem = finding.Text(err)
	}
	return shown
}

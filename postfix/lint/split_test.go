package lint

import (
	"slices"
	"strings"
	"testing"
)

// A host that receives mail too, as docker-mailserver is one: OpenDKIM verifies on port
// 25, signpostd signs what users hand in and what programs of the host send.
func TestSplit(t *testing.T) {
	t.Parallel()
	const (
		verifier = "inet:localhost:8899"
		openDKIM = "inet:localhost:12301"
		signer   = " -o smtpd_milters=" + ours
		filtered = "content_filter = smtp-amavis:[127.0.0.1]:10024"
		back     = "\n127.0.0.1:10025 inet n - n - - smtpd -o content_filter="
	)
	settings := func(more ...string) []string {
		usual := []string{"smtpd_milters = " + openDKIM, "non_smtpd_milters = " + ours}
		return append(slices.DeleteFunc(usual, func(line string) bool {
			name, _, _ := strings.Cut(line, "=")
			return slices.ContainsFunc(more, func(other string) bool { return strings.HasPrefix(other, name) })
		}), more...)
	}
	services := func(port25, submission, submissions string) string {
		return "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd" + port25 +
			"\nsubmission inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes" + submission +
			"\nsubmissions inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes" + submissions +
			"\npickup fifo n - n 60 1 pickup -o content_filter=\ncleanup unix n - n - 0 cleanup\nsmtp unix - - n - - smtp\n"
	}
	sound := services("", signer, signer)
	forgotten := "fault postfix-milter-submission smtpd_milters"
	run(t, []check{
		{name: "sound", main: settings(), master: sound},
		{name: "sound, and nobody says where signpostd is", any: true, main: settings(), master: sound},
		{name: "a port that has no name, and nobody says where signpostd is", any: true, main: settings(), master: sound + "588 inet n - n - - smtpd" + signer + "\n"},
		{name: "a verifier that may be away", main: []string{"smtpd_milters = { " + openDKIM + ", default_action=accept }", "non_smtpd_milters = " + ours}, master: sound},
		{name: "a signer that may be away", main: settings("milter_default_action = accept"), master: sound, want: []string{"warning postfix-milter-accept milter_default_action"}},
		{name: "on port 25 alone", main: settings(), master: services(signer, "", ""), want: []string{forgotten, forgotten}},
		{name: "465 forgotten", main: settings(), master: services("", signer, ""), want: []string{forgotten}},
		{name: "465 forgotten, and nobody says where signpostd is", any: true, main: settings(), master: services("", signer, " -o smtpd_milters="+openDKIM),
			want: []string{"warning postfix-milter-off smtpd_milters"}},
		{name: "the verifier signs too", main: settings(), master: services("", " -o { smtpd_milters = "+openDKIM+", "+ours+" }", signer),
			want: []string{"warning postfix-milter-two smtpd_milters"}},
		{name: "a filter after the signer", main: settings(), master: services("", " -o { smtpd_milters = "+ours+", "+verifier+" }", signer),
			want: []string{"note postfix-milter-order smtpd_milters"}},
		{name: "sendmail meets the verifier", main: settings("non_smtpd_milters = $smtpd_milters"), master: sound, want: []string{"warning postfix-milter-sendmail non_smtpd_milters"}},
		{name: "sendmail meets nobody", main: settings("non_smtpd_milters ="), master: sound, want: []string{"warning postfix-milter-sendmail non_smtpd_milters"}},
		{name: "OpenDMARC first", main: settings("smtpd_milters = inet:localhost:8893, " + openDKIM), master: sound, want: []string{"warning postfix-milter-order smtpd_milters"}},
		{name: "for sendmail at the wrong place", main: settings(), master: services("", signer+" -o non_smtpd_milters="+ours, signer), want: []string{
			"note postfix-milter-misplaced non_smtpd_milters"}},
		{name: "OpenDMARC last", main: settings("smtpd_milters = " + openDKIM + ", inet:localhost:8893"), master: sound},
		{name: "amavis", main: settings(filtered), master: sound + back + " -o receive_override_options=no_header_body_checks,no_milters\n",
			want: []string{"note postfix-filter-after content_filter"}},
		{name: "amavis, and the verifier again", main: settings(filtered), master: sound + back + "\n", want: []string{"warning postfix-filter-double smtpd_milters"}},
	})
}

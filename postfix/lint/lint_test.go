package lint

import (
	"slices"
	"strings"
	"testing"

	"signpost/keystore/finding"
	"signpost/milter/dkim"
	"signpost/postfix"
)

const (
	ours = "inet:127.0.0.1:8891"

	// soundMain and soundMaster have nothing wrong with them.
	soundMain = `compatibility_level = 3.9
myhostname = mail.example.org
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_milters = inet:127.0.0.1:8891
non_smtpd_milters = $smtpd_milters
milter_default_action = tempfail
smtp_line_length_limit = 0
disable_mime_output_conversion = yes
internal_mail_filter_classes = bounce
`
	soundMaster = `smtp       inet  n - n -  - smtpd
submission inet  n - n -  - smtpd
  -o syslog_name=postfix/submission -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup     unix  n - n 60 1 pickup
cleanup    unix  n - n -  0 cleanup
smtp       unix  - - n -  - smtp
`
)

// main is the sound main.cf with lines in place of those of the same name.
func main(lines ...string) string {
	name := func(line string) string { before, _, _ := strings.Cut(line, "="); return strings.TrimSpace(before) }
	var out []string
	for _, old := range strings.Split(strings.TrimSpace(soundMain), "\n") {
		if !slices.ContainsFunc(lines, func(line string) bool { return name(line) == name(old) }) {
			out = append(out, old)
		}
	}
	for _, line := range lines {
		if strings.Contains(line, "=") { // a bare name takes the line out
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n") + "\n"
}

// found lints and returns "level code name" of each finding, sorted.
func found(t *testing.T, mainCF, master, signpostd string) []string {
	t.Helper()
	config, err := postfix.ParseConfig("main.cf", []byte(mainCF))
	if err != nil {
		t.Fatal(err)
	}
	if master != "" {
		if err := config.AddMaster("master.cf", []byte(master)); err != nil {
			t.Fatal(err)
		}
	}
	var out []string
	for _, f := range Check(config, Signer{Address: signpostd, Fields: dkim.DefaultSign()}) {
		out = append(out, string(f.Level)+" "+f.Code+" "+f.Name)
		if f.What == "" || f.Effect == "" || f.Fix == "" || strings.HasSuffix(f.What, ".") {
			t.Errorf("%+v lacks something", f)
		}
	}
	slices.Sort(out)
	return out
}

// Amazon SES replaces two fields that are signed unless signpostd is told otherwise.
func TestRelayThatReplacesFields(t *testing.T) {
	t.Parallel()
	config, err := postfix.ParseConfig("main.cf", []byte(main("relayhost = [email-smtp.us-east-1.amazonaws.com]:587")))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		signed []string
		want   string // the setting that is advised
	}{
		{dkim.DefaultSign(), "*,-Message-ID,-Date"},
		{[]string{"From", "date", "Bounces-To"}, "*,-Date,-Bounces-To"},
		{[]string{"From", "Subject"}, ""},
	} {
		got := ""
		for _, f := range Check(config, Signer{Address: ours, Fields: test.signed}) {
			if f.Code == "postfix-relay-replaces" && f.Level == finding.Fault && f.Name == "relayhost" {
				_, got, _ = strings.Cut(f.Fix, "\nSIGNPOST_SIGN_HEADERS=")
			}
		}
		if got != test.want {
			t.Errorf("%q: the advice is %q, want %q", test.signed, got, test.want)
		}
	}
}

type check struct {
	name    string
	main    []string // lines in place of sound ones
	master  string   // in place of the sound one
	service string   // in addition to it
	any     bool     // the address of signpostd is not told
	want    []string
}

func (c check) run(t *testing.T) {
	master := c.master
	if master == "" {
		master = soundMaster
	}
	signpostd := ours
	if c.any {
		signpostd = ""
	}
	got := found(t, main(c.main...), master+c.service+"\n", signpostd)
	slices.Sort(c.want)
	if !slices.Equal(got, c.want) {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
	}
}

func run(t *testing.T, checks []check) {
	for _, c := range checks {
		t.Run(c.name, c.run)
	}
}

func TestReading(t *testing.T) {
	t.Parallel()
	run(t, []check{
		{name: "sound"},
		{name: "duplicate", main: []string{"biff = no", "biff = yes"}, want: []string{"warning postfix-duplicate biff"}},
		{name: "does not expand", main: []string{"smtpd_banner = ${myhostname"}, want: []string{"fault postfix-expansion smtpd_banner"}},
		{name: "refers to itself", main: []string{"a = $b", "b = $a"}, want: []string{"fault postfix-expansion a", "fault postfix-expansion b"}},
		{name: "dollar", main: []string{"smtpd_banner = costs 5$$"}},
		{name: "no compatibility level", main: []string{"compatibility_level"}, want: []string{
			"note postfix-compatibility compatibility_level", "note postfix-bare-newline smtpd_forbid_bare_newline"}},
		// What cannot be expanded is not found fault with a second time.
		{name: "milter refers to itself", main: []string{"a = $a", "smtpd_milters = $a"},
			want: []string{"fault postfix-expansion a", "fault postfix-expansion non_smtpd_milters", "fault postfix-expansion smtpd_milters",
				"fault postfix-milter-other smtpd_milters"}},
		{name: "name with a hyphen", main: []string{"my-relay_initial_destination_concurrency = ${a"},
			want: []string{"fault postfix-expansion my-relay_initial_destination_concurrency"}},
		{name: "byte order mark", main: []string{"\ufeffmyorigin = example.org"}, want: []string{"warning postfix-unknown-parameter myorigin"}},
		{name: "no-break space", main: []string{"milter_protocol\u00a0= 6"}, want: []string{"warning postfix-unknown-parameter milter_protocol"}},
		{name: "misspelt", main: []string{"smtp_milters = " + ours}, want: []string{"warning postfix-unknown-parameter smtp_milters"}},
		{name: "misspelt again", main: []string{"milter_default_actions = tempfail"}, want: []string{"warning postfix-unknown-parameter milter_default_actions"}},
		{name: "a name of one's own", main: []string{"my_milter = " + ours, "smtpd_milters = $my_milter"}},
		{name: "a name of one's own, used in master.cf", main: []string{"my_milter = " + ours}, service: "588 inet n - n - - smtpd -o smtpd_milters=$my_milter"},
	})
}

// TestMisspeltForPostconf: with all parameters known, any name is checked.
func TestMisspeltForPostconf(t *testing.T) {
	t.Parallel()
	config, err := postfix.ParseConfig("main.cf", []byte(main("my_destination = x", "relay_transports_own = 1", "slow_destination_rate_delay = 1s",
		"smtps_destination_rate_delay = 1", "smtpd_restriction_classes = mynetwork", "mynetwork = permit", "smtp_milter = x", "smtpd_tls_security_levl = may")))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := config.AskPostconf(t.Context()); !ok || err != nil {
		t.Fatalf("no postconf: %v; hint: run make setup", err)
	}
	var got []string
	for _, f := range Check(config, Signer{Fields: dkim.DefaultSign()}) {
		if f.Code == "postfix-unknown-parameter" {
			got = append(got, f.Name+" -> "+f.Fix)
		}
	}
	want := []string{"my_destination -> mydestination = x", "smtp_milter -> smtpd_milters = x", "smtpd_tls_security_levl -> smtpd_tls_security_level = may"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMilter(t *testing.T) {
	t.Parallel()
	const away = "inet:127.0.0.1:9999"
	run(t, []check{
		{name: "missing", main: []string{"smtpd_milters =", "non_smtpd_milters = " + ours}, want: []string{"fault postfix-milter-missing smtpd_milters"}},
		{name: "missing altogether", main: []string{"smtpd_milters", "non_smtpd_milters"}, want: []string{"fault postfix-milter-missing smtpd_milters"}},
		{name: "DISABLE", main: []string{"smtpd_milters = DISABLE", "non_smtpd_milters = " + ours}, want: []string{"fault postfix-milter-missing smtpd_milters"}},
		{name: "other", main: []string{"smtpd_milters = " + away}, want: []string{"fault postfix-milter-other smtpd_milters"}},
		{name: "any other", any: true, main: []string{"smtpd_milters = " + away}},
		{name: "localhost is it", main: []string{"smtpd_milters = inet:localhost:8891"}},
		{name: "sendmail", main: []string{"non_smtpd_milters"}, want: []string{"warning postfix-milter-sendmail non_smtpd_milters"}},
		{name: "sendmail elsewhere", main: []string{"non_smtpd_milters = " + away}, want: []string{"warning postfix-milter-sendmail non_smtpd_milters"}},
		{name: "sendmail elsewhere, any", any: true, main: []string{"non_smtpd_milters = " + away}, want: []string{"warning postfix-milter-sendmail non_smtpd_milters"}},
		{name: "maps", main: []string{"smtpd_milter_maps = cidr:/etc/postfix/maps"}, want: []string{"warning postfix-milter-maps smtpd_milter_maps"}},
		{name: "no_milters", main: []string{"receive_override_options = no_address_mappings, no_milters"}, want: []string{"fault postfix-no-milters receive_override_options"}},

		{name: "as OpenDKIM writes it", any: true, main: []string{"smtpd_milters = inet:8891@127.0.0.1"}, want: []string{
			"fault postfix-milter-syntax smtpd_milters", "fault postfix-milter-syntax non_smtpd_milters"}},
		{name: "without inet:", any: true, main: []string{"non_smtpd_milters = 127.0.0.1:8891"}, want: []string{
			"fault postfix-milter-syntax non_smtpd_milters"}},
		{name: "blanks in braces", main: []string{"smtpd_milters = { " + ours + ", default_action = tempfail }"}, want: []string{
			"fault postfix-milter-syntax smtpd_milters", "fault postfix-milter-syntax non_smtpd_milters"}},
		{name: "braces", main: []string{"smtpd_milters = { " + ours + ", default_action=tempfail, {command_timeout = 10s} }"}},
		{name: "two signers", main: []string{"smtpd_milters = inet:localhost:11332, " + ours}, want: []string{
			"warning postfix-milter-two smtpd_milters", "warning postfix-milter-two non_smtpd_milters"}},
		{name: "two signers, any", any: true, main: []string{"smtpd_milters = inet:localhost:8891 unix:opendkim/opendkim.sock", "non_smtpd_milters = inet:localhost:8891"},
			want: []string{"warning postfix-milter-two smtpd_milters"}},
		{name: "one that checks, then ours", main: []string{"smtpd_milters = inet:localhost:8893, " + ours}},
		{name: "ours, then another", main: []string{"smtpd_milters = " + ours + ", inet:localhost:7357", "non_smtpd_milters = " + ours}, want: []string{"note postfix-milter-order smtpd_milters"}},

		{name: "accept", main: []string{"milter_default_action = accept"}, want: []string{"warning postfix-milter-accept milter_default_action"}},
		{name: "accept in braces", main: []string{"smtpd_milters = { " + ours + ", default_action=accept }", "non_smtpd_milters = " + ours}, want: []string{"warning postfix-milter-accept smtpd_milters"}},
		{name: "tempfail in braces", main: []string{"smtpd_milters = { " + ours + ", default_action=tempfail }", "milter_default_action = accept"}},
		{name: "accept on a service", service: "588 inet n - n - - smtpd -o milter_default_action=accept", want: []string{"warning postfix-milter-accept milter_default_action"}},
		{name: "shutdown", main: []string{"milter_default_action = shutdown"}},
		{name: "reject", main: []string{"milter_default_action = reject"}, want: []string{"warning postfix-milter-reject milter_default_action"}},
		{name: "quarantine", main: []string{"milter_default_action = quarantine"}, want: []string{"warning postfix-milter-quarantine milter_default_action"}},
		{name: "no such action", main: []string{"milter_default_action = defer"}, want: []string{"fault postfix-milter-action milter_default_action"}},
		{name: "no action", main: []string{"milter_default_action"}, want: []string{"note postfix-milter-action-unset milter_default_action"}},

		{name: "protocol 2", main: []string{"milter_protocol = 2"}, want: []string{"warning postfix-milter-protocol milter_protocol"}},
		{name: "protocol 6", main: []string{"milter_protocol = 6 no_body"}},
		{name: "protocol 7", main: []string{"milter_protocol = 7"}, want: []string{"fault postfix-milter-protocol milter_protocol"}},
		{name: "protocol in braces", main: []string{"smtpd_milters = { " + ours + ", protocol=3 }", "non_smtpd_milters = " + ours}, want: []string{"warning postfix-milter-protocol smtpd_milters"}},
		{name: "macros", main: []string{"milter_mail_macros = i {mail_addr}"}, want: []string{"note postfix-milter-macros milter_mail_macros"}},
		{name: "more macros", main: []string{"milter_mail_macros = i {auth_authen} {auth_type}", "milter_macro_daemon_name = ORIGINATING"}},
		{name: "connect", main: []string{"milter_connect_timeout = 1s"}, want: []string{"warning postfix-milter-timeout milter_connect_timeout"}},
		{name: "command", main: []string{"milter_command_timeout = 2"}, want: []string{"warning postfix-milter-timeout milter_command_timeout"}},
		{name: "content", main: []string{"milter_content_timeout = 10s"}, want: []string{"warning postfix-milter-timeout milter_content_timeout"}},
		{name: "minutes", main: []string{"milter_content_timeout = 1m", "milter_connect_timeout = 10"}},
		{name: "no time", main: []string{"milter_connect_timeout = soon"}, want: []string{"fault postfix-milter-timeout milter_connect_timeout"}},
		{name: "time in braces", main: []string{"smtpd_milters = { " + ours + ", content_timeout=5s }", "non_smtpd_milters = " + ours}, want: []string{"warning postfix-milter-timeout smtpd_milters"}},
		{name: "milter_header_checks", main: []string{"milter_header_checks = pcre:/etc/postfix/x"}, want: []string{"note postfix-milter-header-checks milter_header_checks"}},
	})
}

func TestMaster(t *testing.T) {
	t.Parallel()
	const filtered = "content_filter = smtp:[127.0.0.1]:10024"
	const back = "127.0.0.1:10025 inet n - n - - smtpd -o content_filter="
	run(t, []check{
		{name: "no_milters", service: "588 inet n - n - - smtpd -o receive_override_options=no_milters", want: []string{"warning postfix-no-milters receive_override_options"}},
		{name: "no_milters for sendmail", master: strings.Replace(soundMaster, "1 pickup", "1 pickup -o receive_override_options=no_milters", 1),
			want: []string{"warning postfix-no-milters receive_override_options"}},
		{name: "milter off", service: "588 inet n - n - - smtpd -o smtpd_milters=", want: []string{"warning postfix-milter-off smtpd_milters"}},
		{name: "milter off everywhere", master: strings.ReplaceAll(soundMaster, "smtpd\n", "smtpd -o smtpd_milters=\n"),
			want: []string{"warning postfix-milter-off smtpd_milters", "warning postfix-milter-off smtpd_milters"}},
		{name: "milter off on loopback", service: "127.0.0.1:10587 inet n - n - - smtpd -o smtpd_milters=", want: []string{"note postfix-milter-off smtpd_milters"}},
		{name: "milter off on loopback in brackets", service: "[127.0.0.1]:10587 inet n - n - - smtpd -o smtpd_milters=", want: []string{"note postfix-milter-off smtpd_milters"}},
		{name: "milter off behind a filter of an access table", service: back + " -o receive_override_options=no_milters"},
		{name: "another milter", service: "588 inet n - n - - smtpd -o smtpd_milters=inet:localhost:1", want: []string{"warning postfix-milter-off smtpd_milters"}},
		{name: "off for sendmail", master: strings.Replace(soundMaster, "0 cleanup", "0 cleanup -o non_smtpd_milters=", 1), want: []string{
			"warning postfix-milter-off non_smtpd_milters"}},
		{name: "smtpd_milters of cleanup do nothing", master: strings.Replace(soundMaster, "0 cleanup", "0 cleanup -o smtpd_milters=", 1)},
		{name: "milter on submission alone", main: []string{"smtpd_milters =", "non_smtpd_milters = " + ours},
			master: strings.Replace(soundMaster, "-o syslog", "-o smtpd_milters="+ours+" -o syslog", 1)},

		{name: "filter, twice", main: []string{filtered}, service: back, want: []string{"warning postfix-filter-double content_filter"}},
		{name: "filter, no_milters behind", main: []string{filtered}, service: back + " -o receive_override_options=no_milters", want: []string{"note postfix-filter-after content_filter"}},
		{name: "filter, milter behind", main: []string{filtered, "smtpd_milters =", "non_smtpd_milters ="}, service: back + " -o smtpd_milters=" + ours,
			want: []string{}},
		{name: "filter on submission, twice", master: strings.Replace(soundMaster, "-o syslog", "-o content_filter=scan: -o syslog", 1), service: back,
			want: []string{"warning postfix-filter-double content_filter"}},
		{name: "filter on port 25 that calls sendmail", service: "spamassassin unix - n n - - pipe flags=Rq user=s argv=/usr/bin/spamc -e /usr/sbin/sendmail",
			master: strings.Replace(soundMaster, "smtpd\n", "smtpd -o content_filter=spamassassin\n", 1),
			want:   []string{"warning postfix-filter-double content_filter"}},
		{name: "filter on port 25, and no milter there", service: "spamassassin unix - n n - - pipe flags=Rq user=s argv=/usr/bin/spamc -e /usr/sbin/sendmail",
			master: strings.Replace(soundMaster, "smtpd\n", "smtpd -o content_filter=spamassassin -o smtpd_milters=\n", 1)},
		{name: "filter on port 25, and submission unsigned", service: "smtps inet n - n - - smtpd -o smtpd_milters=",
			master: strings.Replace(soundMaster, "smtpd\n", "smtpd -o content_filter=scan:x -o smtpd_milters=\n", 1),
			want:   []string{"warning postfix-milter-off smtpd_milters"}},

		{name: "chroot", main: []string{"smtpd_milters = unix:/run/signpost/milter", "non_smtpd_milters = " + ours}, any: true,
			master: strings.Replace(soundMaster, "n - n -  - smtpd", "n - y -  - smtpd", 1),
			want:   []string{"warning postfix-chroot-socket smtpd_milters", "warning postfix-milter-sendmail non_smtpd_milters"}},
		{name: "chroot, path with the queue", any: true, main: []string{"smtpd_milters = unix:/var/spool/postfix/signpost/milter"},
			master: strings.Replace(soundMaster, "n - n -  - smtpd", "n - y -  - smtpd", 1), want: []string{"fault postfix-chroot-socket smtpd_milters"}},
		{name: "chroot of cleanup", any: true, main: []string{"smtpd_milters = unix:/var/spool/postfix/signpost/milter"},
			master: strings.Replace(soundMaster, "n - n -  0 cleanup", "n - y -  0 cleanup", 1), want: []string{"fault postfix-chroot-socket non_smtpd_milters"}},
		{name: "chroot, relative", any: true, main: []string{"smtpd_milters = unix:signpost/milter"}, master: strings.ReplaceAll(soundMaster, "n - n - ", "n - y - ")},
		{name: "no chroot", any: true, main: []string{"smtpd_milters = unix:/run/signpost/milter"}},
		{name: "chroot by default", any: true, main: []string{"smtpd_milters = unix:/run/signpost/milter", "non_smtpd_milters = unix:/run/signpost/milter", "compatibility_level = 0", "smtpd_forbid_bare_newline = yes"},
			master: strings.ReplaceAll(soundMaster, "n - n - ", "n - - - "),
			want:   []string{"warning postfix-chroot-socket non_smtpd_milters", "warning postfix-chroot-socket smtpd_milters", "warning postfix-chroot-socket smtpd_milters"}},

		{name: "no_address_mappings", main: []string{"masquerade_domains = example.org"}, service: "588 inet n - n - - smtpd -o receive_override_options=no_address_mappings",
			want: []string{"note postfix-no-mappings receive_override_options"}},
		{name: "no_address_mappings, nothing to map", service: "588 inet n - n - - smtpd -o receive_override_options=no_address_mappings"},
		{name: "no_header_body_checks", main: []string{"header_checks = pcre:/x"}, service: "588 inet n - n - - smtpd -o receive_override_options=no_header_body_checks",
			want: []string{"note postfix-bounces-filtered header_checks", "note postfix-no-mappings receive_override_options"}},

		{name: "bounces", main: []string{"internal_mail_filter_classes = notify"}, want: []string{"note postfix-bounces-unsigned internal_mail_filter_classes"}},
		{name: "bounces that are filtered", main: []string{"header_checks = pcre:/x"}, want: []string{"note postfix-bounces-filtered header_checks"}},
	})
}

func TestAfterSigning(t *testing.T) {
	t.Parallel()
	checks := []check{
		{name: "line length", main: []string{"smtp_line_length_limit"}, want: []string{"note postfix-line-length smtp_line_length_limit"}},
		{name: "short lines", main: []string{"smtp_line_length_limit = 990"}, want: []string{"warning postfix-line-length smtp_line_length_limit"}},
		{name: "short lines of one service", service: "relay unix - - n - - smtp -o smtp_line_length_limit=500", want: []string{"warning postfix-line-length smtp_line_length_limit"}},
		{name: "conversion", main: []string{"disable_mime_output_conversion"}, want: []string{"note postfix-mime-conversion disable_mime_output_conversion"}},
		{name: "8BITMIME hidden", main: []string{"disable_mime_output_conversion = no", "smtp_discard_ehlo_keywords = 8bitmime"}, want: []string{"warning postfix-8bitmime-hidden smtp_discard_ehlo_keywords"}},
		{name: "8BITMIME hidden by a map", main: []string{"disable_mime_output_conversion = no", "smtp_discard_ehlo_keyword_address_maps = cidr:/x"},
			want: []string{"warning postfix-8bitmime-hidden smtp_discard_ehlo_keyword_address_maps"}},
		{name: "8BITMIME hidden, no conversion", main: []string{"smtp_discard_ehlo_keywords = 8bitmime"}},
		{name: "other keyword hidden", main: []string{"smtp_discard_ehlo_keywords = chunking"}},
		{name: "rewriting of one service", service: "relay unix - - n - - smtp -o smtp_header_checks=pcre:/x", want: []string{"warning postfix-rewrites-after smtp_header_checks"}},
		{name: "before the milter", main: []string{"internal_mail_filter_classes = notify, bounce", "header_checks =", "body_checks =", "canonical_maps = hash:/x", "masquerade_domains = example.org",
			"always_add_missing_headers = yes", "message_drop_headers = bcc", "local_header_rewrite_clients = static:all", "remote_header_rewrite_domain = example.org", "smtp_quote_rfc821_envelope = no"}},
	}
	for _, name := range []string{"smtp_header_checks", "smtp_mime_header_checks", "smtp_nested_header_checks", "smtp_body_checks", "smtp_generic_maps"} {
		checks = append(checks, check{name: name, main: []string{name + " = regexp:/x"}, want: []string{"warning postfix-rewrites-after " + name}})
	}
	run(t, checks)
}

func TestSmuggling(t *testing.T) {
	t.Parallel()
	run(t, []check{
		{name: "no", main: []string{"smtpd_forbid_bare_newline = no"}, want: []string{"warning postfix-bare-newline smtpd_forbid_bare_newline"}},
		{name: "yes", main: []string{"smtpd_forbid_bare_newline = yes"}},
		{name: "normalize", main: []string{"smtpd_forbid_bare_newline = normalize"}},
		{name: "nonsense", main: []string{"smtpd_forbid_bare_newline = maybe"}, want: []string{"fault postfix-bare-newline smtpd_forbid_bare_newline"}},
		{name: "old", main: []string{"compatibility_level = 3.6"}, want: []string{"note postfix-bare-newline smtpd_forbid_bare_newline"}},
		{name: "exclusions", main: []string{"smtpd_forbid_bare_newline_exclusions = 0.0.0.0/0"}, want: []string{"warning postfix-bare-newline smtpd_forbid_bare_newline_exclusions"}},
		{name: "sound exclusions", main: []string{"smtpd_forbid_bare_newline_exclusions = $mynetworks, 192.0.2.1"}},
		{name: "pipelining", main: []string{"smtpd_forbid_unauth_pipelining = no"}, want: []string{"note postfix-unauth-pipelining smtpd_forbid_unauth_pipelining"}},
	})
}

// TestSmugglingByVersion: what Postfix knows depends on its version.
func TestSmugglingByVersion(t *testing.T) {
	t.Parallel()
	for version, first := range map[string]string{
		"3.7.9": "yes", "3.7.10": "normalize", "3.8.4": "yes", "3.8.5": "normalize", "3.6.14": "normalize", "3.5.23": "yes", "3.4.29": "yes",
		"3.9.0": "normalize", "3.10-20240917": "normalize", "3.11.0": "normalize", "4.0.1": "normalize",
	} {
		l := &linter{config: withVersion(t, version)}
		if got := map[bool]string{true: "normalize", false: "yes"}[l.normalizes()]; got != first {
			t.Errorf("%s: %s, want %s", version, got, first)
		}
	}
}

func TestRelay(t *testing.T) {
	t.Parallel()
	open, byMap, unguarded := "fault postfix-open-relay smtpd_relay_restrictions", "warning postfix-relay-by-map smtpd_recipient_restrictions", "fault postfix-relay-unguarded smtpd_relay_restrictions"
	master := strings.ReplaceAll(soundMaster, "  -o smtpd_client_restrictions=permit_sasl_authenticated,reject\n", "")
	master = strings.Replace(master, "submission inet", "#", 1)
	master = strings.Replace(master, "  -o", "#", 1)
	checks := []check{
		{name: "networks: all", main: []string{"mynetworks = 127.0.0.0/8 0.0.0.0/0"}, want: []string{
			"fault postfix-mynetworks-open mynetworks", "warning postfix-bare-newline smtpd_forbid_bare_newline_exclusions"}},
		{name: "networks: static", main: []string{"mynetworks = static:all", "smtpd_forbid_bare_newline_exclusions ="}, want: []string{"fault postfix-mynetworks-open mynetworks"}},
		{name: "networks: wide", main: []string{"mynetworks = 192.0.0.0/8"}, want: []string{"warning postfix-mynetworks-wide mynetworks"}},
		{name: "networks: wide, starts private", main: []string{"mynetworks = 10.0.0.0/4"}, want: []string{"warning postfix-mynetworks-wide mynetworks"}},
		{name: "networks: wide IPv6", main: []string{"mynetworks = [2000::]/3"}, want: []string{"warning postfix-mynetworks-wide mynetworks"}},
		{name: "networks: Docker", main: []string{"mynetworks = 172.16.0.0/12"}, want: []string{"note postfix-mynetworks-docker mynetworks"}},
		{name: "networks: sound", main: []string{"mynetworks = 127.0.0.0/8 10.0.0.0/8 192.168.0.0/16 [::1]/128 [fc00::]/7 [fe80::]/10 198.51.100.0/24 [2001:db8::]/48 !192.0.2.0/0 hash:/x"}},
		{name: "style: subnet", main: []string{"mynetworks", "mynetworks_style = subnet"}, want: []string{"warning postfix-mynetworks-style mynetworks_style"}},
		{name: "style: class", main: []string{"mynetworks", "mynetworks_style = class"}, want: []string{"warning postfix-mynetworks-style mynetworks_style"}},
		{name: "style: host", main: []string{"mynetworks", "mynetworks_style = host"}},
		{name: "style: of no effect", main: []string{"mynetworks_style = class"}},
		{name: "relay_domains: all", main: []string{"relay_domains = static:all"}, want: []string{"fault postfix-relay-domains relay_domains"}},
		{name: "relay_domains: star", main: []string{"relay_domains = *"}, want: []string{"note postfix-relay-domains relay_domains"}},
		{name: "relay_domains: sound", main: []string{"relay_domains = example.net hash:/x"}},
		{name: "submission without SASL", service: "588 inet n - n - - smtpd -o smtpd_client_restrictions=permit_sasl_authenticated,reject",
			want: []string{"warning postfix-submission-shut smtpd_client_restrictions"}},
		{name: "submission without SASL for networks", service: "588 inet n - n - - smtpd -o smtpd_client_restrictions=permit_mynetworks,permit_sasl_authenticated,reject"},
		{name: "587 wide open", service: "588 inet n - n - - smtpd -o { smtpd_relay_restrictions = check_client_access static:OK, reject }", want: []string{open}},
		{name: "587 wide open on loopback", service: "127.0.0.1:588 inet n - n - - smtpd -o { smtpd_relay_restrictions = check_client_access static:OK, reject }"},
		{name: "loopback only", main: []string{"inet_interfaces = loopback-only", "smtpd_relay_restrictions = check_client_access static:OK, reject"}, master: master},
		{name: "delay", main: []string{"smtpd_delay_reject = no", "smtpd_client_restrictions = permit_mynetworks, permit_sasl_authenticated, reject"}, master: master,
			want: []string{"warning postfix-delay-reject smtpd_delay_reject"}},
	}
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"boky": {lines: []string{"smtpd_client_restrictions = permit_mynetworks,permit_sasl_authenticated,reject", "smtpd_helo_restrictions = permit_mynetworks,reject_invalid_helo_hostname,permit",
			"smtpd_sender_restrictions = permit_mynetworks,reject", "smtpd_relay_restrictions = permit",
			"smtpd_recipient_restrictions = reject_non_fqdn_recipient, reject_unknown_recipient_domain, check_sender_access lmdb:/etc/postfix/allowed_senders, reject"}},
		"permit first":  {lines: []string{"smtpd_relay_restrictions = permit_mynetworks, permit, reject_unauth_destination", "smtpd_recipient_restrictions ="}, want: unguarded},
		"permit by map": {lines: []string{"smtpd_relay_restrictions = permit_mynetworks, check_client_access static:OK, reject_unauth_destination"}, want: open},
		"by map":        {lines: []string{"smtpd_relay_restrictions = permit", "smtpd_recipient_restrictions = check_sender_access hash:/x, reject"}, want: byMap},
		"unguarded":     {lines: []string{"smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated", "smtpd_recipient_restrictions ="}, want: unguarded},
	} {
		wanted := []string{}
		if c.want != "" {
			wanted = append(wanted, c.want)
		}
		checks = append(checks, check{name: name, main: c.lines, master: master, want: wanted})
	}
	run(t, checks)
}

// withVersion is a configuration on a Postfix of a version.
func withVersion(t *testing.T, version string) *postfix.Config {
	t.Helper()
	config, err := postfix.ParseConfig("main.cf", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.TakeDefaults([]byte("mail_version = " + version + "\nsmtpd_forbid_bare_newline = no\n")); err != nil {
		t.Fatal(err)
	}
	return config
}

// FuzzCheck looks for a configuration that crashes the linter, takes it for
// ever, or makes it say nothing in a finding.
func FuzzCheck(f *testing.F) {
	f.Add(soundMain, soundMaster, ours)
	f.Add("smtpd_milters = { inet:a:1, x }\nsmtpd_restriction_classes = a\na = a, b\nsmtpd_relay_restrictions = a, check_x_access static:a reject", "", "")
	f.Add("\x830 = not UTF-8\n", "", "")
	f.Add("\xff = 1", "", "")
	f.Add("mynetworks = 10.0.0.0/4 [::]/0\nsmtpd_milters = unix:x {}", "s inet n - y - - smtpd -o smtpd_milters= -o content_filter=x", "unix:/y")
	f.Fuzz(func(t *testing.T, mainCF, master, milter string) {
		config, err := postfix.ParseConfig("main.cf", []byte(mainCF))
		if err != nil || config.AddMaster("master.cf", []byte(master)) != nil {
			return
		}
		for _, found := range Check(config, Signer{Address: milter, Fields: dkim.DefaultSign()}) {
			if found.Code == "" || found.Level == "" || found.Name == "" || found.What == "" || found.Effect == "" || found.Fix == "" {
				t.Fatalf("%+v lacks something", found)
			}
		}
	})
}

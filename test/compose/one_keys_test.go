package compose_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Keys are read as they are by a user who can; only where there is none do they change hands, as
// they do with boky/postfix.
func TestOneContainerReadsKeys(t *testing.T) {
	t.Parallel()
	s := newAlone(t)
	const key = "example.org.private"
	var script strings.Builder
	script.WriteString("key() { mkdir -p $(dirname $2) && echo key >$2 && chown $1 $2 && chmod ${3:-400} $2; }\n")
	tests := []struct {
		name    string
		make    string // commands in the key directory, which is of root and has the mode 755
		want    string // who runs signpostd
		changed string // owners of files that are no longer what they were
	}{
		{"empty", "", "101:104", ""},
		{"as boky/postfix leaves them", "key 101:104 " + key, "101:104", ""},
		{"as boky/postfix leaves them, from Alpine", "key 102:103 " + key, "102:103", ""},
		{"of a user of the host", "key 1000:1000 " + key + "; chown 1000:1000 .; chmod 700 .", "1000:1000", ""},
		{"of a user of the host, none yet", "chown 1000:1000 .", "1000:1000", ""},
		{"in folders", "key 1000:1000 example.org/s1.private; key 1000:1000 example.net/s1.key", "1000:1000", ""},
		{"as docker-mailserver leaves them", "key 1000:1000 rsa-2048-mail-example.org.private.txt", "1000:1000", ""},
		{"as the compose file leaves them", "key 101:65532 " + key + " 440; key 65532:65532 example.net.private", "65532:65532", ""},
		{"of root, for a group", "key 0:65532 " + key + " 440; chgrp 65532 .; chmod 750 .", "101:65532", ""},
		{"of root, for all", "key 0:0 " + key + " 444", "101:104", ""},
		{"as Kubernetes has secrets", "key 0:0 ..1/" + key + " 444; ln -s ..1 ..data; ln -s ..data/" + key + " " + key, "101:104", ""},
		{"beside other files", "key 101:104 " + key + "; key 0:0 README; key 0:0 lost+found/x; chmod 700 lost+found", "101:104", ""},
		{"of root alone", "key 0:0 " + key + " 600", "101:104", "./" + key + " 600 101:104"},
		{"of root alone, in a closed directory", "key 0:0 " + key + "; chmod 700 .", "101:104", ". 700 101:104, ./" + key + " 400 101:104"},
		{"of Postfix", "key postfix:postfix " + key, "101:104", "./" + key + " 400 101:104"},
		{"of two users", "key 1000:1000 " + key + " 0; key 101:104 example.net.private", "101:104", "./" + key + " 400 101:104"},
	}
	for i, test := range tests {
		fmt.Fprintf(&script, "mkdir -p /tmp/%d && cd /tmp/%d\n%s\n", i, i, test.make)
		script.WriteString("all() { find . -exec stat -c '%n %a %u:%g' {} + | sort; }\nall >/tmp/before\n" +
			"SIGNPOST_KEYS=$PWD signpostd-user\nall | comm -13 /tmp/before -\necho =\n")
	}
	out := s.docker("run", "--rm", "--network", "none", "--cap-drop", "ALL", "--cap-add", "CHOWN", "--cap-add", "DAC_OVERRIDE",
		"--cap-add", "FOWNER", "--cap-add", "SETGID", "--cap-add", "SETUID", "--entrypoint", "sh", "signpost-postfix", "-ec", script.String())
	results := strings.Split(out+"\n", "\n=\n")
	for i, test := range tests {
		user, changed, _ := strings.Cut(results[i], "\n")
		changed = strings.ReplaceAll(changed, "\n", ", ")
		if user != test.want || changed != test.changed {
			t.Errorf("%s: run as %s, changed %q; want %s, %q", test.name, user, changed, test.want, test.changed)
		}
	}
}

// From boky/postfix and back: its folder is used as it is, a domain more gets a key like the
// others, and OpenDKIM goes on with all of it. With the capabilities of compose.yaml alone.
func TestOneContainerWayBack(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	private, record := newKey(t, "feedsubscription.com", "mail")
	keys := filepath.Join(s.dir, "opendkim-keys")
	if err := os.Mkdir(keys, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("opendkim-keys/feedsubscription.com.private", private)
	s.write("opendkim-keys/feedsubscription.com.txt", record)
	s.output(s.command("sh", "-c", "chmod 400 opendkim-keys/*.private && chown 101:104 opendkim-keys/*"))
	as := []string{"opendkim-keys 755 0:0", "feedsubscription.com.private 400 101:104", "feedsubscription.com.txt 644 101:104"}
	s.keysAreAs(as...)
	before := s.keyFiles()

	for _, capability := range strings.Fields("CHOWN DAC_OVERRIDE FOWNER KILL NET_BIND_SERVICE SETGID SETUID SYS_CHROOT") {
		s.args = append(s.args, "--cap-add", capability)
	}
	s.args = append(s.args, "--cap-drop", "ALL")
	s.run()
	for name, value := range printedRecords(s.logs()) {
		s.zone.PublishTXT(name, value)
	}
	s.ssmtp("to@reader.example", "From: news@feedsubscription.com\nSubject: there\n\nHello!\n")
	s.verifies(s.arrives("Subject: there"))
	if after := s.keyFiles(); after != before {
		t.Errorf("the key directory was\n%s\nand is\n%s", before, after)
	}
	s.keysAreAs(as...)

	// As root does who adds a domain.
	s.docker("exec", s.name, "signpost", "keygen", "--flat", "another.example")
	as = append([]string{as[0], "another.example.private 400 101:104", "another.example.txt 644 101:104"}, as[1:]...)
	s.keysAreAs(as...)
	s.until("it is in use", func() bool { return strings.Contains(s.logs(), `msg="key added" domain=another.example`) })
	s.logsKeyOfRoot()
	as = append(as[:1:1], append([]string{"added.example.private 600 101:104"}, as[1:]...)...)
	s.keysAreAs(as...)
	s.remove()
	for _, domain := range []string{"feedsubscription.com", "another.example"} {
		s.signsWithOpenDKIM(domain)
	}

	// Where nothing can be written, too.
	s.docker("run", "-d", "--name", s.name, "-v", keys+":/etc/opendkim/keys:ro", "-e", "ALLOWED_SENDER_DOMAINS=feedsubscription.com",
		"-e", "DKIM_AUTOGENERATE=yes", "signpost-postfix")
	s.until("it signs", func() bool { return s.command(s.engine.docker, "exec", s.name, "postfix-health").Run() == nil })
	s.keysAreAs(as...)
}

// logsKeyOfRoot: a key that root copies in is for root alone, until SIGHUP.
func (s *single) logsKeyOfRoot() {
	s.t.Helper()
	private, _ := newKey(s.t, "added.example", "mail")
	if err := os.WriteFile(filepath.Join(s.dir, "opendkim-keys", "added.example.private"), []byte(private), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.until("it is reported", func() bool { return strings.Contains(s.logs(), "permission denied for user 101") })
	s.docker("kill", "--signal", "HUP", s.name)
	s.until("it is in use", func() bool { return strings.Contains(s.logs(), `domain=added.example selector=mail type=rsa`) })
}

// signsWithOpenDKIM has OpenDKIM sign a message with the key of a domain, as the user and with the
// settings that it has in boky/postfix.
func (s *single) signsWithOpenDKIM(domain string) {
	s.t.Helper()
	// Not below the folder of the test, which is closed to others.
	dir, err := os.MkdirTemp("", "opendkim")
	if err != nil {
		s.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s.output(s.command("cp", "-a", "opendkim-keys", dir))
	for name, content := range map[string]string{
		"opendkim.conf": "Canonicalization relaxed/simple\nRequireSafeKeys no\nMode sv\nSignatureAlgorithm rsa-sha256\n" +
			"InternalHosts refile:" + dir + "/TrustedHosts\n" +
			"KeyTable refile:" + dir + "/KeyTable\nSigningTable refile:" + dir + "/SigningTable\n",
		"TrustedHosts": "0.0.0.0/0\n",
		"KeyTable":     "mail._domainkey." + domain + " " + domain + ":mail:" + dir + "/opendkim-keys/" + domain + ".private\n",
		"SigningTable": "*@" + domain + " mail._domainkey." + domain + "\n",
		"message":      "From: news@" + domain + "\r\nSubject: x\r\n\r\nhello\r\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	out := s.output(s.command("setpriv", "--reuid", "101", "--regid", "104", "--clear-groups",
		"opendkim", "-x", dir+"/opendkim.conf", "-t", dir+"/message"))
	if !strings.Contains(out, "d="+domain+";") || strings.Contains(out, "not secure") {
		s.t.Errorf("OpenDKIM says:\n%s", out)
	}
}

// Keys in a store are left to signpostd: no directory is made that is called like it, and
// nobody signs with keys that nobody asked for.
func TestOneContainerReadsAStore(t *testing.T) {
	t.Parallel()
	s := &single{project: newAlone(t)}
	s.docker("run", "-d", "--name", s.name, "--network", "none", "-e", "ALLOWED_SENDER_DOMAINS=example.org",
		"-e", "DKIM_AUTOGENERATE=yes", "-e", "SIGNPOST_KEYS=redis://127.0.0.1:1/0", "signpost-postfix")
	t.Cleanup(func() { s.docker("rm", "-f", "-v", s.name) })
	s.until("signpostd listens", func() bool { return strings.Contains(s.logs(), "msg=listening") })
	logs := s.logs()
	if !strings.Contains(logs, "the key store does not answer") || strings.Contains(logs, "made an RSA key") {
		t.Errorf("signpostd does not read the store:\n%s", logs)
	}
}

package host_test

import (
	"fmt"
	"strings"
)

// A Debian host signs with OpenDKIM, which Postfix reaches in its chroot. It is switched to
// signpostd and back. What cannot be finished changes nothing.
func (h *host) migrate(deb string) {
	h.copy(deb, "/lab/1.deb")
	h.startLab()
	h.startOpenDKIM()
	h.signedBy("opendkim")
	h.says(h.run("dpkg --force-confold -i /lab/1.deb"), "coming from OpenDKIM, use: signpost migrate")
	before, postfix := h.state(), h.postfix()

	h.says(h.run("signpost migrate --dry-run"),
		"would copy  /etc/signpost/keys/example.net/s2024.private  rsa 2048, signs",
		"for /etc/default/signpostd:",
		"signed by both and compared: 2 of 2 domains the same, in d= and s=, and verify",
		"-smtpd_milters = local:opendkim/opendkim.sock\n",
		"+smtpd_milters = unix:signpost/milter\n")
	h.mustBe(before, "after a dry run")

	h.failedSwitch()
	h.run("signpost migrate --yes; cp /etc/postfix/signpost-migrate.json /lab/journal")
	h.signedBy("signpostd")
	h.run(`systemctl is-active signpostd.service signpostd.socket opendkim
		systemctl is-enabled signpostd.service signpostd.socket
		journalctl _PID=$(systemctl show -P MainPID signpostd) | grep -E 'msg=confined landlock=[1-9].*seccomp=true'
		grep -x SIGNPOST_CONFINE=require /etc/default/signpostd; grep -x 'SIGNPOST_KEYS="/etc/signpost/keys"' /etc/default/signpostd
		[ "$(stat -c %U:%G:%a /etc/signpost/keys /etc/signpost/keys/*/*.private | uniq -c | tr -s ' \n' ' ')" = \
			" 1 root:signpost:750 2 root:signpost:440 " ]`)

	// There is no way back to what does not sign.
	h.run("systemctl stop opendkim")
	switched := h.state()
	h.fails("signpost migrate --back --yes", "nothing was changed", "systemctl enable --now opendkim")
	h.mustBe(switched, "after a way back that was not possible")
	h.run("systemctl start opendkim; signpost migrate --back --yes")
	h.signedBy("opendkim")
	if now := h.postfix(); now != postfix {
		h.Errorf("after the way back:\n%s\nwant\n%s", now, postfix)
	}

	// As a switch leaves it when Postfix does not reload, neither then nor to go on as before.
	h.run("cp /lab/journal /etc/postfix/signpost-migrate.json")
	h.fails("signpost migrate --yes", "a switch failed", "have it read that: signpost migrate --back")
	h.run("signpost migrate --back --yes; ! test -e /etc/postfix/signpost-migrate.json")
}

// startOpenDKIM configures OpenDKIM as Debian's opendkim.conf advises for a Postfix in a
// chroot, with tables of two domains.
func (h *host) startOpenDKIM() {
	h.Helper()
	h.run(`dpkg-deb -x /lab/1.deb /lab/1
		/lab/1/usr/bin/signpost keygen --mkdir --keys /lab/keys --selector s2024 example.org
		cp -r /lab/keys/example.org /lab/keys/example.net
		cd /etc/dkimkeys
		for domain in example.org example.net; do
			install -o opendkim -g opendkim -m 600 /lab/keys/$domain/s2024.private $domain.key
			echo "$domain $domain:s2024:/etc/dkimkeys/$domain.key" >>KeyTable
			echo "*@$domain $domain" >>SigningTable
		done
		cd /etc; sed -i 's|^Socket.*|Socket local:/var/spool/postfix/opendkim/opendkim.sock|' opendkim.conf
		printf 'KeyTable file:/etc/dkimkeys/KeyTable\nSigningTable refile:/etc/dkimkeys/SigningTable\n' >>opendkim.conf
		install -d -o opendkim -g postfix -m 750 /var/spool/postfix/opendkim; usermod -aG opendkim postfix
		systemctl enable --now opendkim
		postconf -e smtpd_milters=local:opendkim/opendkim.sock 'non_smtpd_milters=$smtpd_milters' milter_default_action=accept
		systemctl restart postfix`)
	h.publish("/lab/keys", "example.org", "s2024")
	h.publish("/lab/keys", "example.net", "s2024")
}

// failedSwitch is one to a signpostd that does not start. It runs again as soon as it can,
// and nothing is enabled or written that was not before.
func (h *host) failedSwitch() {
	h.Helper()
	h.run("systemctl disable signpostd.service signpostd.socket; mv /etc/default/signpostd /lab/default")
	before := h.state()
	h.run(`mkdir /run/systemd/system/signpostd.service.d
		printf '[Service]\nExecStartPre=/bin/false\n' >/run/systemd/system/signpostd.service.d/broken.conf
		systemctl daemon-reload`)
	h.fails("signpost migrate --yes", "systemctl restart signpostd.service: exit status 1",
		"settings, keys and Postfix are as they were, and signpostd is not")
	h.run("rm -r /run/systemd/system/signpostd.service.d; systemctl daemon-reload")
	h.await("signpostd", "systemctl is-active signpostd.service")
	h.mustBe(before, "after a start that failed")
	h.run("mv /lab/default /etc/default/signpostd")
}

// signedBy sends a message by SMTP and one by sendmail, and makes sure that this unit
// signs them. What Postfix began before its last reload must have ended.
func (h *host) signedBy(unit string) {
	h.Helper()
	h.await("reload", "! pgrep -x 'smtpd|cleanup'")
	count := func() (ours, all int) {
		fmt.Sscan(h.run(`journalctl --sync; for unit in `+unit+` '*'; do
			journalctl -u "$unit" | grep -c 'DKIM-Signature field added' || true; done`), &ours, &all)
		return ours, all
	}
	ours, all := count()
	h.run(`smtp-source -f a@example.org -t b@rcpt.test 127.0.0.1:25
		printf 'Subject: x\n\nx\n' | sendmail -f a@example.net -F A b@rcpt.test`)
	h.received(2, "s2024")
	if oursNow, allNow := count(); oursNow-ours != 2 || allNow-all != 2 {
		h.Errorf("%s signed %d of 2 messages, and all signers %d", unit, oursNow-ours, allNow-all)
	}
}

// postfix is the configuration of Postfix.
func (h *host) postfix() string {
	h.Helper()
	return h.run("cd /etc/postfix; cat main.cf master.cf")
}

// state is everything that a migration might change.
func (h *host) state() string {
	h.Helper()
	return h.run(`cd /etc; find postfix default opendkim* dkimkeys signpost -printf '%M %u %g %p\n' 2>&1 | sort
		find postfix default opendkim* dkimkeys -type f -exec sha256sum {} + | sort
		systemctl is-enabled signpostd.service signpostd.socket opendkim || true
		systemctl is-active signpostd.service signpostd.socket opendkim postfix || true`)
}

func (h *host) mustBe(state, when string) {
	h.Helper()
	if now := h.state(); now != state {
		h.Errorf("%s the host is\n%s\nwant\n%s", when, now, state)
	}
}

// fails runs a command that must fail, and say these.
func (h *host) fails(command string, want ...string) {
	h.Helper()
	said, err := h.try(command)
	if err == nil {
		h.Errorf("%s has not failed:\n%s", command, said)
	}
	h.says(said, want...)
}

func (h *host) says(said string, want ...string) {
	h.Helper()
	for _, want := range want {
		if !strings.Contains(said, want) {
			h.Errorf("%q is not in:\n%s", want, said)
		}
	}
}

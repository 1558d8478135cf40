package migrate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"signpost/keystore/finding"
)

// What becomes of the directives of opendkim.conf that are not about keys.
const (
	forKeys    = iota // read elsewhere
	carried           // settings knows how
	process           // about the process, its logs and its files
	verifying         // about mail that comes in
	losing            // changes what is signed or how, and signpostd has no such setting
	switchLost        // the same when it is on
)

// fateOf returns what becomes of a directive, and whether it is one.
func fateOf(name string) (int, bool) {
	for fate, names := range map[int]string{
		forKeys: `
			BaseDirectory ChangeRootDirectory Domain Include KeyFile KeyTable Mode
			MultipleSignatures Selector SigningTable SubDomains`,
		carried: `
			Canonicalization ExternalIgnoreList InternalHosts MaximumHeaders MinimumKeyBits
			OversignHeaders RequireSafeKeys SignHeaders SignatureAlgorithm SignatureTTL Socket
			On-Default On-InternalError On-Security On-SignatureError`,
		process: `
			AutoRestart AutoRestartCount AutoRestartRate Background DisableCryptoInit
			EnableCoredumps LogResults LogWhy MilterDebug PidFile SoftStart SoftwareHeader Syslog
			SyslogFacility SyslogName SyslogSuccess TemporaryDirectory UMask UserID X-Header
			ATPSHashAlgorithm KeepTemporaryFiles LDAPAuthMechanism LDAPAuthName LDAPAuthRealm
			LDAPAuthUser LDAPBindPassword LDAPBindUser LDAPDisableCache LDAPKeepaliveIdle
			LDAPKeepaliveInterval LDAPKeepaliveProbes LDAPTimeout LDAPUseTLS FlowDataFactor
			FlowDataTTL`,
		verifying: `
			ADSPAction ADSPNoSuchDomain AllowSHA1Only LocalADSP On-PolicyError
			SendADSPReports AlwaysAddARHeader AuthservID AuthservIDWithJobID BogusKey
			CaptureUnknownErrors ClockDrift DNSConnect DNSTimeout DiagnosticDirectory
			DomainKeysCompat IgnoreMalformedMail KeepAuthResults MTACommand
			MaximumSignaturesToVerify Minimum MustBeSigned Nameservers NoHeaderB On-BadSignature
			On-DNSError On-KeyNotFound On-NoSignature On-ReputationError Quarantine QueryCache
			RedirectFailuresTo RemoveARAll RemoveARFrom ReportAddress ReportBccAddress
			ResolverConfiguration ResolverTracing SMTPURI SendReports StrictTestMode TestDNSData
			TestPublicKeys TrustAnchorFile TrustSignaturesFrom UnprotectedKey WeakSyntaxChecks
			Statistics StatisticsName StatisticsPrefix StatisticsPolicyScript ReputationCache
			ReputationCacheTTL ReputationDuplicates ReputationLimitModifiers ReputationLimits
			ReputationLowTime ReputationMinimum ReputationRRDHashDepth ReputationRRDRoot
			ReputationRatios ReputationSpamCheck ReputationTest ReputationTimeFactor
			ReputationTimeout ReputationVerbose VBR-PurgeFields VBR-TrustedCertifiers
			VBR-TrustedCertifiersOnly`,
		losing: `
			ATPSDomains BodyLengthDB ConditionalSignatures DefaultSender DontSignMailTo
			ExemptDomains FinalPolicyScript FlowData IdentityHeader MTA MacroList
			MaximumSignedBytes OmitHeaders POPDBFile PeerList RateLimits ReplaceHeaders
			ReplaceRules ResignMailTo ScreenPolicyScript SenderHeaders
			SelectCanonicalizationHeader SenderMacro SetupPolicyScript VBR-Certifiers VBR-Type`,
		switchLost: `
			Diagnostics FixCRLF IdentityHeaderRemove LuaOnlySigning RemoveOldSignatures
			RequestReports RequiredHeaders ResignAll StrictHeaders`,
	} {
		for known := range strings.FieldsSeq(names) {
			if strings.EqualFold(known, name) {
				return fate, true
			}
		}
	}
	return 0, false
}

// settings carries over what is not about keys.
func (r *reader) settings(conf directives) {
	var forProcess, forVerifying []string
	for _, d := range conf {
		if last, _ := conf.get(d.name); last != d {
			continue // overruled further down
		}
		named := fmt.Sprintf("%s (line %d)", d.name, d.at.Line)
		fate, known := fateOf(d.name)
		switch {
		case !known:
			r.report(finding.Warning, "import-unknown", d.at,
				fmt.Sprintf("%s is not a known setting of OpenDKIM", d.name), "it is left out", "")
		case fate == process:
			forProcess = append(forProcess, named)
		case fate == verifying:
			forVerifying = append(forVerifying, named)
		case fate == losing, fate == switchLost && d.on():
			r.report(finding.Warning, "import-setting", d.at,
				fmt.Sprintf("%s %s cannot be carried over", d.name,
					d.value), "signpostd has no such setting", "")
		case fate == carried:
			r.setting(d)
		}
	}
	whole := Place{File: r.plan.Path}
	r.unset(conf, whole)
	if mode, ok := conf.get("Mode"); !ok || strings.Contains(mode.value, "v") {
		r.note("import-verify", whole, "OpenDKIM checks signatures of incoming mail as well; signpostd only signs")
	}
	if len(forVerifying) > 0 {
		r.note("import-verify", whole, "about checking incoming mail, left out: %s", strings.Join(forVerifying, ", "))
	}
	if len(forProcess) > 0 {
		r.note("import-process", whole, "about the process and its logs, not needed here: %s",
			strings.Join(forProcess, ", "))
	}
}

// setting carries over one directive.
func (r *reader) setting(d directive) {
	from := d.at.String() + ": " + d.name
	number, numberErr := strconv.Atoi(d.value)
	switch strings.ToLower(d.name) {
	case "canonicalization":
		value := strings.ToLower(d.value)
		if !strings.Contains(value, "/") {
			value += "/simple" // RFC 6376, section 3.5, c=
		}
		r.set("SIGNPOST_CANONICALIZATION", value, from, "")
	case "signheaders", "oversignheaders":
		r.headers(d, from)
	case "minimumkeybits":
		if numberErr == nil && number > 1024 {
			r.set("SIGNPOST_MIN_KEY_BITS", d.value, from,
				"with a smaller key OpenDKIM refuses the mail that it would sign, and signpostd defers it")
		}
	case "maximumheaders":
		if numberErr == nil && number >= 16<<10 {
			r.set("SIGNPOST_MAX_HEADER_BYTES", d.value, from, "")
		}
	case "signaturettl":
		if numberErr == nil && number > 0 {
			r.set("SIGNPOST_EXPIRE", d.value+"s", from, "")
		}
	case "requiresafekeys":
		if d.on() {
			r.set("SIGNPOST_REQUIRE_SAFE_KEYS", "yes", from, "")
		}
	case "socket":
		r.socket(d, from)
	case "internalhosts":
		r.trusted(d, from)
	case "externalignorelist":
		r.note("import-setting", d.at,
			"ExternalIgnoreList only keeps OpenDKIM from logging; signpostd has no need of it")
	case "signaturealgorithm":
		if strings.EqualFold(d.value, "rsa-sha1") {
			r.report(finding.Warning, "import-setting", d.at, "SignatureAlgorithm rsa-sha1 is not carried over",
				"signatures are made with SHA-256: nobody accepts SHA-1 any more (RFC 8301), and "+
					"the record in the DNS must not say h=sha1", "")
		}
	case "on-default", "on-internalerror", "on-security", "on-signatureerror":
		if !strings.HasPrefix(strings.ToLower(d.value), "t") {
			r.report(finding.Warning, "import-setting", d.at,
				fmt.Sprintf("%s %s cannot be carried over", d.name, d.value),
				"mail that must be signed and cannot be is deferred (451) or refused (550) by signpostd", "")
		}
	}
}

// headers carries over a list of header fields. A star, with + and - before
// names, changes the list of the RFC in SignHeaders, and is a name elsewhere.
func (r *reader) headers(d directive, from string) {
	set, err := r.dataset(d.value, d.at)
	if err != nil {
		r.badSet(d, err, "the list is not carried over")
		return
	}
	list := set.keys()
	star := slices.Contains(list, "*")
	variable, why := "SIGNPOST_OVERSIGN_HEADERS", "without this line signpostd has a list of its own"
	changes := func(name string) bool { return strings.ContainsAny(name[:1], "*+-") }
	switch {
	case !strings.EqualFold(d.name, "SignHeaders"):
		list = slices.DeleteFunc(list, changes)
		if star {
			r.note("import-setting", d.at, "%s: the star is a field name for OpenDKIM, so it is left out", d.name)
		}
	case star:
		variable, why = "SIGNPOST_SIGN_HEADERS",
			"the star stands for signpostd's own list, which has more in it than OpenDKIM's"
		list = slices.DeleteFunc(list, func(name string) bool { return !changes(name) || name == "*" })
		list = append([]string{"*"}, list...)
	default:
		variable = "SIGNPOST_SIGN_HEADERS"
		if !slices.ContainsFunc(list, func(name string) bool { return strings.EqualFold(name, "From") }) {
			list = append([]string{"From"}, list...) // OpenDKIM adds it unasked
		}
	}
	r.set(variable, strings.Join(list, ","), from, why)
}

// socket carries over the socket in the forms that signpostd takes.
func (r *reader) socket(d directive, from string) {
	value := d.value
	kind, _, typed := strings.Cut(value, ":")
	if !typed || strings.HasPrefix(value, "/") {
		value, kind = "local:"+value, "local"
	}
	if kind == "local" || kind == "unix" {
		r.set("SIGNPOST_LISTEN", value, from, "Postfix must be able to reach the path, in its chroot where it has one")
		return
	}
	r.set("SIGNPOST_LISTEN", value, from, "")
}

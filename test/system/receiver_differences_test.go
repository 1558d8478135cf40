package system

// differences are the messages of the corpus of which another verifier thinks
// otherwise than `signpost verify`, and why that is right. Each has one
// signature.
var differences = map[string]map[string]string{
	"simple: no final CRLF":              {"Mail::DKIM": finalCRLF},
	"simple: only white space, no CRLF":  {"Mail::DKIM": finalCRLF},
	"relaxed: only white space, no CRLF": {"dkimpy": finalCRLF},
	"simple: bare CR":                    {"opendkim-testmsg": bareLineEnd},
	"relaxed: bare CR":                   {"opendkim-testmsg": bareLineEnd, "go-msgauth": bareLineEnd},
	"simple: bare LF":                    {"opendkim-testmsg": bareLineEnd, "dkimpy": bareLineEnd, "go-msgauth": bareLineEnd},
	"relaxed: bare LF":                   {"opendkim-testmsg": bareLineEnd, "dkimpy": bareLineEnd, "go-msgauth": bareLineEnd},
	"simple: space before a colon":       {"dkimpy": obsoleteColon},
	"relaxed: space before a colon":      {"dkimpy": obsoleteColon},
	"t= in the future": {
		"Mail::DKIM": notLookedAt, "go-msgauth": notLookedAt,
	},
	"key full":                   {"dkimpy": "s= is a list (RFC 6376, section 3.6.1)"},
	"key pkcs1":                  {"opendkim-testmsg": bothForms, "Mail::DKIM": bothForms},
	"key semicolons":             {"Mail::DKIM": emptyTag, "go-msgauth": emptyTag},
	"tags: empty tag":            {"Mail::DKIM": emptyTag, "go-msgauth": emptyTag},
	"key latin1":                 {"dkimpy": onlyASCII, "Mail::DKIM": onlyASCII, "go-msgauth": onlyASCII},
	"key tabs":                   {"go-msgauth": "white space may stand in p=, a TAB too (RFC 6376, sections 2.8 and 3.6.1)"},
	"key quoted":                 {"Mail::DKIM": "a quote is no part of a tag's name (RFC 6376, section 3.2)"},
	"key capitals":               {"opendkim-testmsg": "values are case-sensitive (RFC 6376, section 3.2)"},
	"key sha1":                   {"dkimpy": "h= of the key must list the hash (RFC 6376, section 6.1.2)"},
	"key unpadded":               {"opendkim-testmsg": "base64 needs its padding (RFC 4648, section 3.2)"},
	"key of 512 bits":            {"Mail::DKIM": "under 1024 bits must not be accepted (RFC 8301, section 3.2)"},
	"tags: rsa-sha1":             {"opendkim-testmsg": sha1Refused, "dkimpy": sha1Refused, "Mail::DKIM": sha1Refused},
	"tags: two d=":               {"opendkim-testmsg": duplicate, "Mail::DKIM": duplicate},
	"tags: no v=":                {"Mail::DKIM": required},
	"tags: no bh=":               {"Mail::DKIM": required},
	"tags: l= of all":            {"go-msgauth": refusesLength},
	"tags: l= of a part":         {"go-msgauth": refusesLength},
	"tags: l= of nothing":        {"go-msgauth": refusesLength, "Mail::DKIM": "l=0 signs no octet of the body (RFC 6376, section 3.5)"},
	"tags: l= over the body":     {"dkimpy": lengthOver, "Mail::DKIM": lengthOver},
	"tags: i= in capitals":       {"go-msgauth": "domains are compared without case (RFC 6376, section 3.5)"},
	"tags: q= with more":         {"dkimpy": "q= is a list (RFC 6376, section 3.5)"},
	"tags: white space":          {"opendkim-testmsg": "white space may stand before the = of b= (RFC 6376, section 3.2)"},
	"tags: dot after d=":         {"opendkim-testmsg": grammar, "Mail::DKIM": grammar, "go-msgauth": grammar},
	"tags: two @ in i=":          {"dkimpy": grammar, "Mail::DKIM": grammar, "go-msgauth": grammar},
	"tags: not UTF-8":            {"dkimpy": grammar, "Mail::DKIM": grammar, "go-msgauth": grammar},
	"tags: space in a=":          {"opendkim-testmsg": grammar, "go-msgauth": grammar},
	"tags: space in c=":          {"opendkim-testmsg": grammar, "go-msgauth": grammar},
	"tags: space in d=":          {"opendkim-testmsg": grammar, "go-msgauth": grammar},
	"tags: space in h=":          {"opendkim-testmsg": grammar, "go-msgauth": grammar},
	"tags: space in s=":          {"opendkim-testmsg": grammar, "go-msgauth": grammar},
	"tags: strict key, i= below": {"dkimpy": strictKey, "go-msgauth": strictKey},
}

const (
	finalCRLF     = "a body that does not end in CRLF gets one (RFC 6376, sections 3.4.3 and 3.4.4)"
	bareLineEnd   = "a bare CR or LF is no line end (RFC 5322, section 2.3), so we hash it as it is, and warn"
	obsoleteColon = "white space may stand before the colon (RFC 5322, section 4.5)"
	notLookedAt   = "it does not look at t=, and need not (RFC 6376, section 3.5)"
	bothForms     = "RFC 6376, section 3.6.1, names RSAPublicKey, and erratum 3017 allows both forms; we warn"
	emptyTag      = "a tag-list has no empty tags but at its end (RFC 6376, section 3.2)"
	onlyASCII     = "n= is ASCII (RFC 6376, sections 2.11 and 3.6.1)"
	sha1Refused   = "rsa-sha1 must not be accepted (RFC 8301, section 3.1)"
	duplicate     = "a tag twice makes the list invalid (RFC 6376, section 3.2)"
	required      = "the tag is required (RFC 6376, section 3.5)"
	refusesLength = "it refuses l=, as RFC 6376, section 8.2, lets it; we warn"
	lengthOver    = "l= must not be larger than the body (RFC 6376, section 3.5)"
	grammar       = "the grammar does not allow it (RFC 6376, section 3.5), and other verifiers refuse it"
	strictKey     = "with t=s the domain of i= must be that of d= (RFC 6376, section 3.6.1)"
)

package system

import (
	"bytes"
	"crypto"
	"maps"
	"slices"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

// A signedMessage is a message and the signatures that it must have.
type signedMessage struct {
	data []byte
	want []signature
}

// mustVerify asserts that the message has the wanted signatures and no other,
// and that every verifier finds each of them good with the key record in the
// world's DNS.
func (w *world) mustVerify(message []byte, want ...signature) {
	w.t.Helper()
	w.mustVerifyAll([]signedMessage{{message, want}})
}

// mustVerifyAll is mustVerify for many messages, in the time of one. Of a long
// stream go-msgauth, which takes no process, looks at every message, and the
// others look at some hundred that are spread over it.
func (w *world) mustVerifyAll(messages []signedMessage) {
	w.t.Helper()
	verifiers := w.verifiers()
	if every := len(messages) / 100; every > 1 {
		w.mustBeGood(messages, verifiers[:1])
		var some []signedMessage
		for i := 0; i < len(messages); i += every {
			some = append(some, messages[i])
		}
		messages, verifiers = some, verifiers[1:]
	}
	w.mustBeGood(messages, verifiers)
}

// mustBeGood asserts that the messages have the wanted signatures and no
// other, and that each of the verifiers finds them good.
func (w *world) mustBeGood(messages []signedMessage, verifiers []verifier) {
	w.t.Helper()
	var data [][]byte
	wantGood := make(map[string]int) // by verifier
	for _, m := range messages {
		w.mustBeOneOf(m.data, m.want)
		data = append(data, m.data)
		for _, s := range m.want {
			for _, verifier := range verifiers {
				if verifier.name != "Mail::DKIM" || s.algorithm == "rsa-sha256" { // it does not know Ed25519
					wantGood[verifier.name]++
				}
			}
		}
	}
	good := make(map[string]int)
	failed := false
	for _, v := range w.judge(data, verifiers) {
		if v.result == "pass" {
			good[v.verifier]++
			continue
		}
		failed = true
		w.t.Errorf("%v\n%s", v, start(data[v.message]))
	}
	if failed || !maps.Equal(good, wantGood) {
		w.t.Fatalf("good signatures: %v, want %v", good, wantGood)
	}
}

// mustBeOneOf asserts that the message has exactly the signatures of one of
// the sets, good or not.
func (w *world) mustBeOneOf(message []byte, sets ...[]signature) {
	w.t.Helper()
	got := signatures(message)
	for _, want := range sets {
		if slices.Equal(got, slices.SortedFunc(slices.Values(want), compareSignatures)) {
			return
		}
	}
	w.t.Fatalf("message is signed by %v, want %v:\n%s", got, sets, start(message))
}

// mustBeUnsigned asserts that a message left without a signature.
func (w *world) mustBeUnsigned(message []byte) {
	w.t.Helper()
	if fields := signatureFields(message); len(fields) > 0 {
		w.t.Fatalf("message has a signature, want none:\n%s", start(message))
	}
}

// start is the beginning of a message, for a failed test's output.
func start(message []byte) []byte { return message[:min(len(message), 3000)] }

// TestVerifiersNoticeTampering proves that the verifiers can say no. The
// signer is go-msgauth: the judges are tried without signpostd.
func TestVerifiersNoticeTampering(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	signed := letter("a@example.org", "tampering")
	signatures := []signature{rsaSignature("example.org", "r"), ed25519Signature("example.org", "e")}
	for i, kind := range []string{"rsa", "ed25519"} {
		k := newKey(t, kind)
		w.publishKey(k, signatures[i])
		var out bytes.Buffer
		options := dkim.SignOptions{Domain: "example.org", Selector: signatures[i].selector, Signer: k.private, Hash: crypto.SHA256, HeaderKeys: []string{"From", "Subject"}}
		if err := dkim.Sign(&out, bytes.NewReader(signed), &options); err != nil {
			t.Fatal(err)
		}
		signed = out.Bytes()
	}
	w.mustVerify(signed, signatures...)

	tampered := map[string][]byte{
		"body":   bytes.Replace(signed, []byte("Bye."), []byte("Buy."), 1),
		"header": bytes.Replace(signed, []byte("Subject: t"), []byte("Subject: T"), 1),
	}
	for what, message := range tampered {
		verdicts := w.judge([][]byte{message}, w.verifiers())
		if len(verdicts) != 7 { // Mail::DKIM has one, the others two
			t.Errorf("%s: %d verdicts, want 7: %v", what, len(verdicts), verdicts)
		}
		for _, v := range verdicts {
			if v.result == "pass" {
				t.Errorf("%s was changed: %v", what, v)
			}
		}
	}
}

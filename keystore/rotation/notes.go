package rotation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/place"
)

// Order is a key that a rotation makes.
type Order struct {
	Selector  string             `json:"selector"`
	Algorithm keystore.Algorithm `json:"type"`
	Bits      int                `json:"bits"`
}

// notes are what signpost rotate keeps of a domain beside its keys, so that any
// node can go on with it and signpostd knows of it.
type notes struct {
	stateText
	there bool
	// Of the format before, by selector: when a key stopped, and its record went.
	stopped, gone map[string]time.Time
}

// readNotes returns the notes of a domain and their revision, empty ones where there are
// none.
func readNotes(ctx context.Context, keys place.Place, domain string) (notes, string, error) {
	data, revision, err := keys.Notes(ctx, domain)
	if err != nil || len(data) == 0 {
		return notes{}, revision, err
	}
	n, err := parseNotes(data)
	if err != nil {
		return notes{}, "", finding.WithHint(fmt.Errorf("reading %s: it is damaged: %w",
			keys.NotesName(domain), err), "remove it, the rotation then goes on from what the DNS says")
	}
	n.there = true
	return n, revision, nil
}

// parseNotes reads notes in this format or, where they begin with a brace, in the
// JSON of the versions before.
func parseNotes(data []byte) (n notes, err error) {
	if len(data) == 0 || data[0] != '{' {
		n.stateText, err = parseState(data)
		return n, err
	}
	var old struct {
		Made    time.Time            `json:"made"`
		To      []Order              `json:"to"`
		Stopped map[string]time.Time `json:"stopped"`
		Gone    map[string]time.Time `json:"gone"`
	}
	if err := json.Unmarshal(data, &old); err != nil {
		return n, err
	}
	if len(old.To) == 0 && len(old.Stopped) == 0 {
		return n, errors.New("it has neither keys to make nor keys that stopped")
	}
	n.orders, n.ordered, n.stopped, n.gone = old.To, old.Made, old.Stopped, old.Gone
	return n, nil
}

// add adds what the notes have of a key to what is known of it. What the notes have
// not seen, signpostd may have.
func (n notes) add(m Mark, key *keystore.Key) Mark {
	noted := Mark{Stopped: At(n.stopped[key.Selector]), Gone: At(n.gone[key.Selector])}
	if len(n.marks) > 0 {
		noted = n.marks[fingerprintOf(key)]
	}
	if m.Stopped == None && m.Active == None {
		m.Stopped = noted.Stopped
	}
	if m.Gone == None {
		m.Gone = noted.Gone
	}
	return m
}

// Notebook is the keys of a domain with the notes of its rotation, for who takes the
// steps of that.
type Notebook struct {
	Keys    []Answered // the oldest first
	Orders  []Order    // keys that are to be made, or were
	Noted   bool       // there are notes
	ordered time.Time
	look    Look
	domain  string
	// revision of the notes as they were read or written last.
	revision string
}

// Open asks about the keys of a domain as Domain does, and opens its notes. The
// error says that they cannot be read.
func (l Look) Open(ctx context.Context, domain string, keys []*keystore.Key) (*Notebook, error) {
	noted, revision, err := readNotes(ctx, l.Place, domain)
	if err != nil {
		return nil, err
	}
	return &Notebook{
		Keys: l.domain(ctx, noted, keys), Orders: noted.orders, Noted: noted.there, ordered: noted.ordered,
		look: l, domain: domain, revision: revision,
	}, nil
}

// Order notes that keys are to be made. Write keeps it.
func (b *Notebook) Order(orders []Order) { b.Orders, b.ordered = orders, b.look.Now }

// Forget takes a key out of those to be made, and reports whether it was among them.
func (b *Notebook) Forget(selector string) bool {
	rest := slices.DeleteFunc(slices.Clone(b.Orders), func(o Order) bool { return o.Selector == selector })
	found := len(rest) < len(b.Orders)
	b.Orders = rest
	return found
}

// Stop notes that these keys, and no others, no longer sign, since when, and since
// when their records are gone. It reports whether that is news.
func (b *Notebook) Stop(keys []Answered) (news bool) {
	marks := make([]Mark, len(b.Keys))
	for i, key := range b.Keys {
		m := key.Mark
		stopped := slices.ContainsFunc(keys, func(old Answered) bool { return old.Key == key.Key })
		switch {
		case !stopped:
			m.Stopped, m.Gone = None, None
		case m.Stopped == None:
			m.Stopped = At(b.look.Now)
		}
		switch {
		case !stopped || m.Presence != dns.Missing:
			m.Gone = None
		case m.Gone == None:
			m.Gone = At(b.look.Now)
		}
		news = news || m != key.Mark
		marks[i] = m
	}
	b.decide(marks)
	return news
}

// decide has what is known of the keys say who signs.
func (b *Notebook) decide(marks []Mark) {
	keys := make([]*keystore.Key, len(b.Keys))
	for i, key := range b.Keys {
		keys[i] = key.Key
	}
	for i, status := range DecideWith(keys, marks, b.look.Mode, b.look.overlap(), b.look.Now) {
		b.Keys[i].Status = b.look.Evidence.Weigh(status, b.look.overlap(), b.look.Now)
	}
}

// ErrOther says that another rotation of a domain is under way.
var ErrOther = errors.New("another rotation has begun in the meantime")

// Write keeps the notes. Who may read the keys may read them. The error is ErrOther if
// somebody else has written some since they were opened.
func (b *Notebook) Write(ctx context.Context) error {
	var text bytes.Buffer
	fmt.Fprintln(&text, stateHeader)
	for _, key := range b.Keys {
		if m := (Mark{Stopped: key.Mark.Stopped, Gone: key.Mark.Gone}); m != (Mark{}) {
			writeMark(&text, key.Key, m)
		}
	}
	for _, o := range b.Orders {
		fmt.Fprintf(&text, "make %s %s %s %d %d\n", b.domain, o.Selector, o.Algorithm, o.Bits, At(b.ordered))
	}
	b.Noted = true
	return b.replace(ctx, text.Bytes())
}

// End removes the notes: the rotation is over.
func (b *Notebook) End(ctx context.Context) error {
	if err := b.replace(ctx, nil); err != nil {
		return err
	}
	b.Noted, b.Orders = false, nil
	return nil
}

func (b *Notebook) replace(ctx context.Context, text []byte) error {
	revision, err := b.look.Place.WriteNotes(ctx, b.domain, text, b.revision)
	switch {
	case errors.Is(err, keystore.ErrConflict):
		return Other(b.domain)
	case err == nil:
		b.revision = revision
	}
	return err
}

// Other is ErrOther for a domain.
func Other(domain string) error {
	return finding.WithHint(fmt.Errorf("%s: %w", domain, ErrOther), "see how far it is with --status")
}

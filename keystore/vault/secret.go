package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// secret is what lies at one path.
type secret struct {
	data    json.RawMessage // a JSON object; nil where nothing is there
	version int             // of KV 2, 0 before the first
	created time.Time       // of that version
}

// version is a secret as KV 2 answers with it.
type version struct {
	Data     json.RawMessage
	Metadata struct {
		Version   int
		Created   time.Time `json:"created_time"`
		Deleted   string    `json:"deletion_time"`
		Destroyed bool
	}
}

// get reads a secret.
func (b *Backend) get(ctx context.Context, m *mount, path string) (secret, error) {
	r := request{method: http.MethodGet, path: path}
	a, there, err := b.ask(ctx, r)
	if err != nil {
		b.lost(err)
		return secret{}, err
	}
	var s secret
	if m.kv == 2 && a.Data != nil {
		var v version
		if err := json.Unmarshal(a.Data, &v); err != nil || v.Metadata.Version < 1 {
			clear(a.Data)
			return s, b.failed(r, finding.WithHint(errors.New("the answer is not one of KV version 2"),
				"set ?kv=1 in the URL if the mount is of that version"))
		}
		clear(a.Data)
		a.Data = v.Data
		s.version, s.created = v.Metadata.Version, v.Metadata.Created
	}
	if !there {
		return s, nil
	}
	if data := bytes.TrimSpace(a.Data); len(data) == 0 || data[0] != '{' {
		clear(a.Data)
		return secret{}, b.failed(r, errors.New("the answer has no data"))
	}
	s.data = a.Data
	return s, nil
}

// put writes a secret in place of one that was read. KV 2 refuses it where somebody else was
// faster, KV 1 cannot: there it is read again after a while in which whoever had read the
// same has written too, and who finds the other's has lost. Then the error is
// keystore.ErrConflict.
func (b *Backend) put(ctx context.Context, m *mount, path string, data json.RawMessage, was secret) error {
	if m.kv == 2 {
		return b.putVersion(ctx, path, data, was)
	}
	read, err := b.get(ctx, m, path) // once more, as shortly before the writing as can be
	if err != nil {
		return err
	}
	if !sameJSON(read.data, was.data) {
		return keystore.ErrConflict
	}
	r := request{method: http.MethodPost, path: path, body: data}
	if data == nil {
		r.method = http.MethodDelete
	}
	// A write that took longer could be after another's second look.
	writing, cancel := context.WithTimeout(ctx, b.slowest)
	defer cancel()
	if _, there, err := b.ask(writing, r); err != nil || !there {
		return errors.Join(err, b.nothing(r, there, err))
	}
	select {
	case <-time.After(b.settle):
	case <-ctx.Done():
		return b.failed(r, ctx.Err())
	}
	now, err := b.get(ctx, m, path)
	if err != nil {
		return err
	}
	defer clear(now.data)
	if !sameJSON(now.data, data) {
		return finding.WithHint(fmt.Errorf("%s/%s: %w", b.Name(), path, keystore.ErrConflict),
			"KV version 1 cannot exclude that two write at once: do not do so, or use version 2")
	}
	return nil
}

func (b *Backend) putVersion(ctx context.Context, path string, data json.RawMessage, was secret) error {
	if data == nil {
		data = json.RawMessage("{}") // deleting knows no check-and-set
	}
	r := request{method: http.MethodPost, path: path, body: encode(map[string]any{
		"options": map[string]int{"cas": was.version}, "data": data,
	})}
	defer clear(r.body)
	_, there, err := b.ask(ctx, r)
	var no *refused
	if errors.As(err, &no) && no.status == http.StatusBadRequest &&
		strings.Contains(no.what, "check-and-set parameter did not match") {
		return fmt.Errorf("%s: %w", path, keystore.ErrConflict)
	}
	return errors.Join(err, b.nothing(r, there, err))
}

// nothing is the error of a write to what is not there.
func (b *Backend) nothing(r request, there bool, err error) error {
	if there || err != nil {
		return nil
	}
	return b.failed(r, finding.WithHint(errors.New("no KV secrets engine takes it"), "check the path in the URL"))
}

// sameJSON reports whether two objects have the same in them, or are both nothing.
func sameJSON(a, b json.RawMessage) bool {
	var inA, inB any
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	for text, into := range map[*json.RawMessage]*any{&a: &inA, &b: &inB} {
		decoder := json.NewDecoder(bytes.NewReader(*text))
		decoder.UseNumber() // as it is written, however large
		if decoder.Decode(into) != nil {
			return false
		}
	}
	x, y := encode(inA), encode(inB) // with sorted names
	defer clear(x)
	defer clear(y)
	return bytes.Equal(x, y)
}

// names calls found for what is in a folder, those of folders with a "/" at the end.
func (b *Backend) names(ctx context.Context, m *mount, path string, found func(name string)) error {
	// OpenBao gives pages, and other servers all names at once whatever is asked.
	// KV 1 has no pages.
	page := b.page
	if m.kv == 1 {
		page = 0
	}
	for after := ""; ; {
		r := listRequest(path, after, page)
		a, there, err := b.ask(ctx, r)
		if err != nil {
			b.lost(err)
			return err
		}
		var list struct{ Keys []string }
		if there && string(a.Data) == "{}" && ignored(a.Warnings) {
			return nil // nothing, and a server that knows no limit
		}
		if there && (json.Unmarshal(a.Data, &list) != nil || len(list.Keys) == 0) {
			return b.failed(r, errors.New("the answer has no list"))
		}
		whole := page == 0 || len(list.Keys) != page
		if after != "" && len(list.Keys) > 0 && slices.Min(list.Keys) <= after {
			return nil // all of them again
		}
		for _, name := range list.Keys {
			found(name)
			after = max(after, name)
		}
		if whole {
			return nil
		}
	}
}

// ignored reports whether the server says that it has left out a parameter: then, what is
// nothing is a list without names, and no 404.
func ignored(warnings []string) bool {
	return slices.ContainsFunc(warnings, func(w string) bool {
		return strings.Contains(w, "unrecognized parameters: [limit]")
	})
}

package vault

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"signpost/keystore"
)

// notesSecret is the secret at signpost/notes/<domain> below the path. It is not in that of
// the domain, where rspamadm vault roll would drop it.
type notesSecret struct {
	Notes string `json:"notes"`
}

// Notes returns the notes of a domain. There are none in Mailu.
func (b *Backend) Notes(ctx context.Context, domain string) ([]byte, string, error) {
	if b.address.layout == Mailu {
		return nil, "", nil
	}
	m, err := b.where(ctx)
	if err != nil {
		return nil, "", err
	}
	s, err := b.get(ctx, m, m.secret(ourFolder, "notes", domain))
	if err != nil {
		return nil, "", err
	}
	var n notesSecret
	if s.data != nil && json.Unmarshal(s.data, &n) != nil {
		return nil, "", fmt.Errorf("%s: the secret has no notes", b.notesPlace(domain))
	}
	return []byte(n.Notes), s.revision(m), nil
}

// revision is the version of a secret; in KV 1, what it has in it.
func (s *secret) revision(m *mount) string {
	switch {
	case m.kv == 2:
		return strconv.Itoa(s.version)
	case s.data == nil:
		return "none"
	}
	return fmt.Sprintf("%x", sha256.Sum256(s.data))
}

// WriteNotes replaces the notes of a domain. Where they are removed, an empty secret stays.
// On KV 1 it takes a second, so that of two who write at once one learns of the other.
func (b *Backend) WriteNotes(ctx context.Context, domain string, notes []byte, revision string) error {
	if err := b.writable(); err != nil {
		return err
	}
	m, err := b.where(ctx)
	if err != nil {
		return err
	}
	path := m.secret(ourFolder, "notes", domain)
	was, err := b.get(ctx, m, path)
	if err != nil {
		return err
	}
	if was.revision(m) != revision {
		return fmt.Errorf("%s: %w", b.notesPlace(domain), keystore.ErrConflict)
	}
	err = b.put(ctx, m, path, encode(notesSecret{string(notes)}), was)
	if errors.Is(err, keystore.ErrConflict) {
		return fmt.Errorf("%s: %w", b.notesPlace(domain), err)
	}
	return err
}

func (b *Backend) notesPlace(domain string) string { return b.place(ourFolder, "/notes/%s", domain) }

package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"signpost/keystore/finding"
)

// batch is how many messages are asked for at once. After each the state is written.
const batch = 50

// message is one in the folder. It has no data when it is too large.
type message struct {
	uid   imap.UID
	where string
	size  int64
	data  []byte
}

func (m *message) reader() io.Reader { return bytes.NewReader(m.data) }

func (m *message) tooLarge() error {
	return finding.WithHint(fmt.Errorf("a message of %d MB, which was not fetched", m.size>>20),
		"no real report is that large")
}

// list returns the UIDs of messages after the last one, in order.
func (s *session) list(last imap.UID) ([]imap.UID, error) {
	if s.uidNext != 0 && last+1 >= s.uidNext {
		return nil, nil
	}
	criteria := &imap.SearchCriteria{Since: s.since}
	if last > 0 {
		criteria.UID = []imap.UIDSet{{imap.UIDRange{Start: last + 1}}}
	}
	found, err := s.client.UIDSearch(criteria, nil).Wait()
	if err != nil {
		return nil, s.because(fmt.Errorf("searching %s: %s", s.server.name(), said(err)))
	}
	// With n:* the server returns the last message even if its UID is less than n.
	uids := slices.DeleteFunc(found.AllUIDs(), func(uid imap.UID) bool { return uid <= last })
	slices.Sort(uids)
	return uids, nil
}

// fetch gets messages, until each returns false or an error. One that was deleted meanwhile is
// passed over.
func (s *session) fetch(uids []imap.UID, each func(message) (bool, error)) error {
	for some := range slices.Chunk(uids, batch) {
		sizes, err := s.sizes(some)
		if err != nil {
			return err
		}
		gone := 0
		for _, uid := range some {
			size, there := sizes[uid]
			if !there {
				continue
			}
			m := message{uid: uid, size: size, where: fmt.Sprintf("%s: message %d", s.server.name(), uid)}
			if size <= s.limits.Message {
				if m.data, err = s.content(uid); errors.Is(err, errGone) {
					gone++
					continue
				} else if err != nil {
					return s.because(fmt.Errorf("%s: %s", m.where, said(err)))
				}
			}
			if goOn, err := each(m); err != nil || !goOn {
				return err
			}
		}
		if gone > 0 && gone == len(sizes) {
			return fmt.Errorf("%s: the server sends none of the messages that it lists", s.server.name())
		}
	}
	return nil
}

// sizes asks for the sizes of messages.
func (s *session) sizes(uids []imap.UID) (map[imap.UID]int64, error) {
	list, err := s.client.Fetch(imap.UIDSetNum(uids...), &imap.FetchOptions{UID: true, RFC822Size: true}).Collect()
	if err != nil {
		return nil, s.because(fmt.Errorf("reading %s: %s", s.server.name(), said(err)))
	}
	sizes := make(map[imap.UID]int64)
	for _, m := range list {
		sizes[m.UID] = m.RFC822Size
	}
	return sizes, nil
}

var errGone = errors.New("no such message")

// content gets a message without marking it as seen. The size that the server told of is not
// relied upon.
func (s *session) content(uid imap.UID) (data []byte, err error) {
	command := s.client.Fetch(imap.UIDSetNum(uid),
		&imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	err = errGone
	for m := command.Next(); m != nil; m = command.Next() {
		for item := m.Next(); item != nil; item = m.Next() {
			if section, ok := item.(imapclient.FetchItemDataBodySection); ok && section.Literal != nil {
				data, err = io.ReadAll(io.LimitReader(section.Literal, s.limits.Message))
			}
		}
	}
	if failed := command.Close(); failed != nil {
		err = failed
	}
	return data, err
}

package mailbox

import (
	"bytes"
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

// fetch gets messages, until each returns false or an error. After a batch of them, done is told
// of the last one. A message that was deleted meanwhile is passed over.
func (s *session) fetch(
	uids []imap.UID, each func(message) (bool, error), done func(last imap.UID) error,
) error {
	for some := range slices.Chunk(uids, batch) {
		sizes, err := s.sizes(some)
		if err != nil {
			return err
		}
		var wanted imap.UIDSet
		for _, uid := range some {
			if size, there := sizes[uid]; there && size <= s.limits.Message {
				wanted.AddNum(uid)
			} else if there {
				if goOn, err := each(message{where: s.where(uid), size: size}); err != nil || !goOn {
					return err
				}
			}
		}
		if goOn, err := s.contents(wanted, each); err != nil || !goOn {
			return err
		}
		if err := done(some[len(some)-1]); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) where(uid imap.UID) string {
	return fmt.Sprintf("%s: message %d", s.server.name(), uid)
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

// contents gets messages without marking them as seen, one at a time. The size that the server
// told of is not relied upon.
func (s *session) contents(uids imap.UIDSet, each func(message) (bool, error)) (goOn bool, err error) {
	if len(uids) == 0 {
		return true, nil
	}
	command := s.client.Fetch(uids,
		&imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	got := 0
	for answer := command.Next(); answer != nil; answer = command.Next() {
		m, err := s.content(answer)
		if err != nil {
			break // command says it better
		}
		if m.data == nil {
			continue // another change was told of, such as of flags
		}
		got++
		if goOn, err := each(m); err != nil || !goOn {
			// More is on the way, which ends with the connection. The client must hear of it.
			s.conn.Close()
			command.Close()
			return false, err
		}
	}
	if err := command.Close(); err != nil {
		return false, s.because(fmt.Errorf("reading %s: %s", s.server.name(), said(err)))
	}
	if got == 0 {
		return false, fmt.Errorf("%s: the server sends none of the messages that it lists", s.server.name())
	}
	return true, nil
}

// content reads one message of an answer.
func (s *session) content(answer *imapclient.FetchMessageData) (m message, err error) {
	for item := answer.Next(); item != nil && err == nil; item = answer.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			m.uid, m.where = item.UID, s.where(item.UID)
		case imapclient.FetchItemDataBodySection:
			if item.Literal != nil {
				m.data, err = io.ReadAll(io.LimitReader(item.Literal, s.limits.Message))
				m.size = int64(len(m.data))
			}
		}
	}
	return m, err
}

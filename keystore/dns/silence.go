package dns

// silence is what is known of a resolver: how often it did not reply, and
// whether it ever did.
type silence struct {
	replied bool
	count   int
	last    *failure
}

// maxNever is after how many questions a resolver that never replied is not
// waited for any more.
const maxNever = 4

// heard takes what came of a question: fail is nil for a reply.
func (m *memory) heard(server string, fail *failure) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.servers[server]
	if s == nil {
		s = new(silence)
		m.servers[server] = s
	}
	if fail != nil && fromNetwork(fail.kind) {
		s.count, s.last = s.count+1, fail
	} else {
		s.replied = true
	}
}

// dead returns how a resolver failed that is not worth asking again, else nil.
func (m *memory) dead(server string) *failure {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.servers[server]; s != nil && !s.replied && s.count >= maxNever {
		return s.last
	}
	return nil
}

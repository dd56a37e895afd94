package memstore

// Live returns how many entries are held once calls at now have swept enough.
func (s *Store) Live(now int64) int {
	n := held(s.challenges, now) + held(s.runs, now) + held(s.windows, now) + held(s.tracked, now) +
		held(s.marks, now)
	s.queue.jobs.held(now)
	n += s.queue.jobs.wheel.n
	s.queue.forget(instant(now))
	n += len(s.queue.dead) + len(s.credentials.of)
	if n == 0 {
		return int(s.parking.used.Load())
	}
	return n
}

// Entries returns how many entries are in tables and wheels, dead or alive, and for how
// many room is reserved.
func (s *Store) Entries() int {
	s.queue.jobs.Lock()
	jobs := s.queue.jobs.wheel.n + s.queue.waiting() + s.queue.running
	s.queue.jobs.Unlock()
	return jobs + entries(s.challenges) + entries(s.runs) + entries(s.windows) + entries(s.tracked) + entries(s.marks)
}

func entries[T any, E entry[T]](s *shards[T, E]) int {
	n := int(s.used.Load())
	for i := range s.shard {
		s.shard[i].Lock()
		n += s.shard[i].table.n + s.shard[i].wheel.n
		s.shard[i].Unlock()
	}
	return n
}

// Marks returns how many calls of CancelAll are held, dead or alive.
func (s *Store) Marks() int { return int(s.marks.used.Load()) }

// Held returns how many challenges are held, dead or alive.
func (s *Store) Held() int { return int(s.challenges.used.Load()) }

func held[T any, E entry[T]](s *shards[T, E], now int64) int {
	n := 0
	for i := range s.shard {
		n += s.shard[i].held(now)
	}
	if n == 0 { // what was reserved must have been given back
		return int(s.used.Load())
	}
	return n
}

func (sh *shard[T, E]) held(now int64) int {
	for more := true; more; {
		sh.Lock()
		more = sh.wheel.sweep(now, sweepCosts, sh.drop)
		sh.Unlock()
	}
	return sh.table.n
}

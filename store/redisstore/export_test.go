package redisstore

import "time"

// Tidy makes each Run that begins remove, that often, the consumers that were
// not heard of for as long as forgotten.
func (s *Store) Tidy(every, forgotten time.Duration) {
	s.queue.tidyEvery, s.queue.forgotten = every, forgotten
}

// EncodeJob returns a job as the queue keeps it.
var EncodeJob = encodeJob

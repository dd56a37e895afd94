package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/pgstore"
)

// snatch takes the jobs that are due, as a worker that dies at once, under a lease.
func snatch(t testing.TB, s *opened, lease int64) (jobs int) {
	t.Helper()
	return int(s.exec(t, "SELECT FROM SCHEMA.fetch($1, 100, $2)", lease, time.Now().UnixNano())) - 1
}

// TestRealPostgresQueueReclaim checks what becomes of jobs whose worker died: they
// come to another within 5 s, and each death counts as an attempt.
func TestRealPostgresQueueReclaim(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{JobAttempts: 2})
	jobs := make(chan store.Job, 10)
	queuetest.Add(t, s, store.Job{Challenge: "j"})
	if n := snatch(t, s, 1); n != 1 {
		t.Fatalf("the dead worker took %d jobs, want 1", n)
	}
	died := time.Now()
	stop := queuetest.Work(t, s, 1, queuetest.Forward(jobs))
	j := queuetest.Receive(t, jobs, queuetest.Patience, "the job of the dead worker")
	if took := time.Since(died); took > 5*time.Second || took < 3*time.Second {
		t.Errorf("it came %v after its worker had died, want 3 to 5 s", took)
	}
	if j.Challenge != "j" {
		t.Errorf("job %+v, want j", j)
	}
	stop()

	late := store.Job{Challenge: "late", Expires: time.Now().Add(2 * time.Second)}
	queuetest.Add(t, s, late, store.Job{Challenge: "poison"})
	snatch(t, s, 2)
	stop = queuetest.Work(t, s, 1, func(_ context.Context, j store.Job) (time.Time, error) {
		if j.Challenge == "poison" {
			return time.Time{}, errors.New("fails")
		}
		t.Errorf("job %+v came after it had expired", j)
		return time.Time{}, nil
	})
	queuetest.AwaitStats(t, s, "two dead letters", queuetest.Are(store.Stats{Dead: 2}))
	stop()
	dead, err := s.Dead(t.Context(), 10)
	if err != nil || len(dead) != 2 {
		t.Fatalf("dead letters %+v, error %v; want 2", dead, err)
	}
	want := map[string]store.DeadLetter{
		"poison": {Attempts: 2, Reason: store.Failed}, "late": {Attempts: 1, Reason: store.Late},
	}
	for _, d := range dead {
		if w := want[d.Job.Challenge]; d.Reason != w.Reason || d.Attempts != w.Attempts {
			t.Errorf("dead letter %+v, want %+v", d, w)
		}
	}
}

// TestRealPostgresQueueLastDeath checks that a job whose last worker died is a
// dead letter, and is not handed out for ever.
func TestRealPostgresQueueLastDeath(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{JobAttempts: 1})
	jobs := make(chan store.Job, 10)
	queuetest.Add(t, s, store.Job{Challenge: "j"})
	snatch(t, s, 1)
	queuetest.Work(t, s, 1, queuetest.Forward(jobs))
	queuetest.AwaitStats(t, s, "a dead letter", queuetest.Are(store.Stats{Dead: 1}))
	if len(jobs) > 0 {
		t.Errorf("job %+v came once more", <-jobs)
	}
}

// TestRealPostgresQueueHeartbeat checks that a job is with one worker as long as
// that works at it.
func TestRealPostgresQueueHeartbeat(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{})
	jobs := make(chan store.Job, 10)
	slow := func(_ context.Context, j store.Job) (time.Time, error) {
		jobs <- j
		<-time.After(6 * time.Second)
		return time.Time{}, nil
	}
	queuetest.Work(t, s, 1, slow)
	queuetest.Work(t, s, 1, slow)
	queuetest.Add(t, s, store.Job{Challenge: "slow"})
	queuetest.Receive(t, jobs, queuetest.Patience, "the job")
	queuetest.AwaitStats(t, s, "a job done", queuetest.Nothing)
	if len(jobs) > 0 {
		t.Errorf("job %+v came while its worker was at it", <-jobs)
	}
}

// hangingFetch is a DB whose fetches hang from the second on, until release is closed.
type hangingFetch struct {
	pgstore.DB
	fetches atomic.Int32
	release chan struct{}
}

func (d *hangingFetch) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if strings.Contains(sql, "fetch(") && d.fetches.Add(1) > 1 {
		<-d.release
	}
	return d.DB.Query(ctx, sql, args...)
}

// TestRealPostgresQueueHeartbeatAlone checks that a worker is not taken for dead while a fetch of
// its Run hangs.
func TestRealPostgresQueueHeartbeatAlone(t *testing.T) {
	t.Parallel()
	other := open(t, pgstore.Config{})
	jobs, release := make(chan store.Job, 10), make(chan struct{})
	db := &hangingFetch{DB: other.db, release: release}
	s := open(t, pgstore.Config{DB: db, Schema: other.schema, Timeout: queuetest.Patience})
	queuetest.Add(t, other, store.Job{Challenge: "slow"})
	queuetest.Work(t, s, 2, func(_ context.Context, j store.Job) (time.Time, error) {
		jobs <- j
		<-release
		return time.Time{}, nil
	})
	queuetest.Receive(t, jobs, queuetest.Patience, "the job")
	queuetest.Work(t, other, 1, queuetest.Forward(jobs))
	select {
	case j := <-jobs:
		t.Errorf("job %+v came while its worker was at it", j)
	case <-time.After(7 * time.Second):
	}
	close(release)
	queuetest.AwaitStats(t, other, "a job done", queuetest.Nothing)
}

// TestRealPostgresQueueFormerOwner checks that a worker that was taken for dead changes
// nothing of a job that another has by now, however its handler ends.
func TestRealPostgresQueueFormerOwner(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{})
	jobs, release := make(chan store.Job, 10), make(chan struct{})
	queuetest.Add(t, s, store.Job{Challenge: "j"})
	snatch(t, s, 7)
	stop := queuetest.Work(t, s, 1, func(_ context.Context, j store.Job) (time.Time, error) {
		jobs <- j
		<-release
		return time.Time{}, errors.New("fails")
	})
	queuetest.Receive(t, jobs, queuetest.Patience, "the job of the dead worker")
	for ending := range 4 {
		s.exec(t, `SELECT SCHEMA.ack(ARRAY(SELECT id FROM SCHEMA.jobs), ARRAY[7]::bigint[], ARRAY[$1]::smallint[],
			ARRAY[0]::bigint[], ARRAY[0], $2)`, ending, time.Now().UnixNano())
		s.exec(t, `SELECT SCHEMA.heartbeat(ARRAY(SELECT id FROM SCHEMA.jobs), ARRAY[7]::bigint[], '1h', 5, $1)`,
			time.Now().UnixNano())
		if st, err := s.Stats(t.Context()); err != nil || (st != store.Stats{Running: 1}) {
			t.Errorf("after the former owner gave end %d: %+v, error %v; want the job with its worker", ending, st, err)
		}
	}
	close(release)
	queuetest.AwaitStats(t, s, "the job to wait for its second attempt", queuetest.Are(store.Stats{Delayed: 1}))
	stop()
}

// TestRealPostgresQueueHeartbeatWaitsForNone checks that a heartbeat leaves a job alone whose
// result is being recorded: two statements that wait for each other's jobs would deadlock.
func TestRealPostgresQueueHeartbeatWaitsForNone(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{})
	queuetest.Add(t, s, store.Job{Challenge: "ends"}, store.Job{Challenge: "goes on"})
	snatch(t, s, 7)
	s.exec(t, "UPDATE SCHEMA.jobs SET beat = 'epoch' WHERE challenge = 'goes on'")
	tx, err := sharedPool(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	recording := open(t, pgstore.Config{DB: tx, Schema: s.schema})
	now := time.Now().UnixNano()
	recording.exec(t, `SELECT SCHEMA.ack(ARRAY(SELECT id FROM SCHEMA.jobs WHERE challenge = 'ends'), ARRAY[7]::bigint[],
		ARRAY[0]::smallint[], ARRAY[0]::bigint[], ARRAY[0], $1)`, now)
	ctx, cancel := context.WithTimeout(t.Context(), queuetest.Patience)
	defer cancel()
	heartbeat := strings.ReplaceAll(`SELECT SCHEMA.heartbeat(ARRAY(SELECT id FROM SCHEMA.jobs),
		ARRAY[7, 7]::bigint[], '1h', 5, $1)`, "SCHEMA", s.schema)
	if _, err := s.db.Exec(ctx, heartbeat, now); err != nil {
		t.Fatalf("the heartbeat waited for the job whose result is being recorded: %v", err)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Running != 2 {
		t.Errorf("%+v, error %v; want both jobs with their worker", st, err)
	}
}

// TestRealPostgresQueueDrains checks that Run gives back at its end what it has
// not begun, uncounted.
func TestRealPostgresQueueDrains(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{})
	queuetest.Add(t, s, store.Job{Challenge: "a"}, store.Job{Challenge: "b", Priority: store.High})
	// A lock holds the fetch up until ctx has ended.
	tx, err := sharedPool(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE "+s.schema+".jobs"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, 2, func(_ context.Context, j store.Job) (time.Time, error) {
			t.Errorf("job %+v was begun after the end", j)
			return time.Time{}, nil
		})
	}()
	awaitBlocked(t, s)
	cancel()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := queuetest.Receive(t, done, queuetest.Patience, "the end of Run"); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	st, err := s.Stats(t.Context())
	if err != nil || st.High != 1 || st.Normal != 1 || st.Running != 0 {
		t.Errorf("Stats %+v, error %v; want all given back", st, err)
	}
	var attempts int
	if err := s.db.QueryRow(t.Context(), "SELECT sum(attempts) FROM "+s.schema+".jobs").Scan(&attempts); err != nil ||
		attempts != 0 {
		t.Errorf("the jobs count %d attempts, error %v, want none", attempts, err)
	}
}

// awaitBlocked waits until a statement on the schema waits for a lock.
func awaitBlocked(t testing.TB, s *opened) {
	t.Helper()
	for end := time.Now().Add(queuetest.Patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		var n int
		if err := s.db.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE wait_event_type = 'Lock' AND query LIKE '%'||$1||'%'`, s.schema).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatal("nothing waits for the lock")
}

// TestRealPostgresQueueWakes checks that a Run hears of jobs: it does not look for them.
func TestRealPostgresQueueWakes(t *testing.T) {
	t.Parallel()
	adder := open(t, pgstore.Config{})
	s := open(t, pgstore.Config{Schema: adder.schema})
	s.Pace(time.Hour)
	jobs := make(chan store.Job, 10)
	came := map[string]bool{}
	stop := queuetest.Work(t, s, 1, func(_ context.Context, j store.Job) (again time.Time, _ error) {
		if !came[j.Challenge] && strings.HasPrefix(j.Challenge, "again") {
			again = time.Now().Add(50 * time.Millisecond)
		}
		came[j.Challenge] = true
		jobs <- j
		return again, nil
	})
	queuetest.Add(t, adder, store.Job{Challenge: "first"})
	queuetest.Receive(t, jobs, queuetest.Patience, "the first job")
	for i := range 5 {
		queuetest.Add(t, adder, store.Job{Challenge: fmt.Sprint("again", i)})
		queuetest.Receive(t, jobs, queuetest.Patience, "a job")
		queuetest.Receive(t, jobs, queuetest.Patience, "a job that comes again")
		queuetest.Add(t, adder, store.Job{Challenge: "soon", NotBefore: time.Now().Add(100 * time.Millisecond)})
		queuetest.Receive(t, jobs, queuetest.Patience, "a job that was added for soon")
	}
	idle := time.Now()
	stop()
	if took := time.Since(idle); took > 5*time.Second {
		t.Errorf("an idle Run took %v to end", took)
	}
}

// TestRealPostgresQueueDeaf checks that a Run without a connection to listen on looks for
// jobs itself.
func TestRealPostgresQueueDeaf(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{Listen: func(context.Context) (*pgx.Conn, error) { return nil, errors.New("no") }})
	jobs := make(chan store.Job, 10)
	queuetest.Work(t, s, 1, queuetest.Forward(jobs))
	queuetest.Add(t, s, store.Job{Challenge: "first"})
	queuetest.Receive(t, jobs, queuetest.Patience, "the first job")
	queuetest.Add(t, s, store.Job{Challenge: "second"})
	queuetest.Receive(t, jobs, queuetest.Patience, "the second job")
}

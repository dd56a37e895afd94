// Package redistest runs real Redis servers for tests and examples, as
// net/http/httptest runs HTTP servers: on free ports of the loopback interface, in
// a directory of their own, and until the test ends.
//
//	server := redistest.Start(t)                 // one server, without persistence
//	client := redis.NewClient(&redis.Options{Addr: server.Addr})
//
//	cluster := redistest.StartCluster(t)         // three masters
//	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
//
//	sentinel := redistest.StartSentinel(t)       // a master, a replica, three Sentinels
//	client := redis.NewFailoverClient(&redis.FailoverOptions{
//		MasterName: sentinel.Name, SentinelAddrs: sentinel.Addrs,
//	})
//
// A [Server] can be killed, restarted where it was, and paused. A [Proxy] in
// front of a server loses replies and cuts connections.
//
// # Missing servers
//
// The servers are the redis-server of the PATH, 7.0 or later. If there is none, the
// test is skipped. If there is none and the environment variable OTPCOURIER_REAL is
// "require", the test fails.
//
// # Errors and concurrency
//
// A method that fails without returning an error fails the test. All methods are safe
// for concurrent use. On Linux the servers die with the test's process, however the
// process ends. On other systems they outlive a killed process.
package redistest

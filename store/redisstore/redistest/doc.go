// Package redistest runs real Redis servers for tests and examples, to be used
// as net/http/httptest's Server is: on free ports of the loopback interface,
// in a directory of their own, and gone with the test.
//
//	server := redistest.Start(t)                 // one server, without persistence
//	client := redis.NewClient(&redis.Options{Addr: server.Addr})
//
//	cluster := redistest.StartCluster(t)         // three masters
//	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
//
//	sentinel := redistest.StartSentinel(t)       // a master, a replica, three Sentinels
//	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: sentinel.Name, SentinelAddrs: sentinel.Addrs})
//
// A [Server] can be killed, restarted where it was, and paused. A [Proxy] in
// front of one loses replies and cuts connections.
//
// # Missing servers
//
// What is run is the redis-server that the PATH finds, 7.0 or later. Where
// there is none the test is skipped, but fails if the environment variable
// OTPCOURIER_REAL is "require".
//
// # Errors and concurrency
//
// What cannot be done fails the test. All methods are safe for concurrent use,
// by the goroutine of the test or others. On Linux the servers die with the
// test's process however that ends; elsewhere they outlive one that is killed.
package redistest

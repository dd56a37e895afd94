package redistest_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// A test gets a Redis server of its own, which ends with the test.
func ExampleStart() {
	TestLogin := func(t *testing.T) {
		server := redistest.Start(t)
		client := redis.NewClient(&redis.Options{Addr: server.Addr})
		defer client.Close()
		shared, err := redisstore.New(redisstore.Config{Client: client})
		if err != nil {
			t.Fatal(err)
		}
		_ = shared // otp.Config.Store
	}
	_ = TestLogin
}

// A reply is lost: the server has done the call, and the client sends it again.
func ExampleProxy() {
	TestLostReply := func(t *testing.T) {
		proxy := redistest.NewProxy(t, redistest.Start(t).Addr)
		client := redis.NewClient(&redis.Options{Addr: proxy.Addr})
		defer client.Close()
		proxy.LoseReplies(1, "EVALSHA")
		// the call of a Store here succeeds, and has its effect once
		if proxy.Lost() != 1 {
			t.Error("no reply was lost")
		}
	}
	_ = TestLostReply
}

package redisstore

// The scripts of the Tracker have the same KEYS, and the same first ARGV:
//
//	KEYS[1]     the entry of a key, a hash: m, the message; x, when the entry
//	            expires; n, the number of parked receipts; 1 to n, each of these after
//	            the nonce of the call that parked it
//	KEYS[2]     its shard, a sorted set: the parked receipts of the shard's entries, by
//	            the time at which they expire
//	ARGV[1..3]  now, expires, the entry's name in its shard
//
// Version: see recordLayout. A release that changes this format changes the "r" and
// the "p" of the keys.

// trackerPreamble begins the scripts.
//
//	parked()    returns the parked receipts
//	keep(from)  prolongs the entry, and notes its receipts from number from in the
//	            shard; if the entry now expires later, all its receipts
const trackerPreamble = `
local now, expires, name = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local m, x, n = unpack(redis.call('HMGET', KEYS[1], 'm', 'x', 'n'))
if x and tonumber(x) <= now then
	redis.call('DEL', KEYS[1])
	m, x, n = false, false, false
end
x, n = tonumber(x or -1), tonumber(n or 0)
local function parked()
	if n == 0 then return {} end
	local fields = {}
	for i = 1, n do fields[i] = i end
	return redis.call('HMGET', KEYS[1], unpack(fields))
end
local function keep(from)
	if expires > x then
		x, from = expires, 1
		redis.call('HSET', KEYS[1], 'x', x)
		redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(x - now, 0) / 1000) + @slack.millis)
	end
	for i = from, n do redis.call('ZADD', KEYS[2], x, name .. i) end
	local life = math.ceil(math.max(x - now, 0) / 1000) + @slack.millis
	if n >= from and redis.call('PTTL', KEYS[2]) < life then redis.call('PEXPIRE', KEYS[2], life) end
end
`

// scriptTrack maps the key to a message.
//
//	ARGV[4]  message
//	returns  the parked receipts; none if the key is mapped to another message
var scriptTrack = newScript(mayFill + trackerPreamble + `
if not m then redis.call('HSET', KEYS[1], 'm', ARGV[4]) end
keep(n + 1)
if m and m ~= ARGV[4] then return {} end
return parked()
`)

// scriptMatch returns the message of the key, or parks a receipt.
//
//	ARGV[4..7]  nonce, receipt, room in the shard, room in the entry
//	returns     the message; or nothing, if the receipt is parked; or two strings, if
//	            there is no room
var scriptMatch = newScript(mayFill + trackerPreamble + `
for _, p in ipairs(parked()) do
	if p:sub(1, @nonce) == ARGV[4] or (not m and p:sub(@(nonce + 1)) == ARGV[5]) then
		keep(n + 1)
		return {}
	end
end
if m then
	keep(n + 1)
	return {m}
end
if n >= tonumber(ARGV[7]) then return {'', ''} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return {'', ''} end
n = n + 1
redis.call('HSET', KEYS[1], n, ARGV[4] .. ARGV[5], 'n', n)
keep(n)
return {}
`)

package redisstore

// The scripts' KEYS are a challenge and the runs of failures of its bucket, a
// hash by subject: failures in a row, 4 bytes; when they are forgotten, 8;
// whether that is the end of a lock, 1; until when the hash lives at least, 8.
// ARGV begins with now and the call's nonce.
//
// A bucket's runs have one key: for a key of its own, a script would have to
// make up the name of one that is not among KEYS. Those that are forgotten are
// removed by the charges that add others: of 24 picked at random, by one in 8,
// so that at most half of them are dead.
//
// The scripts are most of what a call costs the server: in Lua a call of Redis
// or a string that is made costs as much as ten lines.

// loadChallenge begins a script that answers ” if there is no challenge. Then
// c is the record, and the rest is what all need of it.
const loadChallenge = `
local c = redis.call('GET', KEYS[1])
if not c then return '' end
local now, nonce = tonumber(ARGV[1]), ARGV[2]
local outcome = c:byte(69)
local expires, max_attempts, max_failures, lock, subject = struct.unpack('>I8I4I4i8c16', c, 138)
`

// loadRun reads the subject's run of failures.
const loadRun = `
local run = redis.call('HGET', KEYS[2], subject)
local failures, ends, locked, kept = 0, 0, 0, 0
if run then
	failures, ends, locked, kept = struct.unpack('>I4I8BI8', run)
	if ends <= now then failures, ends, locked = 0, 0, 0 end
end
`

// A script returns unchanged, or changed: a status, the end of the lock or 0,
// and the record as it was; after bytes that it has changed to, where it has,
// and from which byte on. Nothing but c is longer than a few hundred bytes.
const (
	unchanged = `struct.pack('>BI8I2Bc0', status or 0, locked * ends, 0, 0, c)`
	changed   = `struct.pack('>BI8I2Bc0c0', 0, locked * ends, at, #bytes, bytes, c)`
)

// Scripts that add to what the server holds fail when it is out of memory. The
// others have the flag allow-oom: a right code is accepted on a full server.
const (
	mayFill = "#!lua\n"
	anyhow  = "#!lua flags=allow-oom\n"
	reads   = "#!lua flags=no-writes\n"
)

// ARGV: now, nonce, subject's field, record, life in milliseconds.
var scriptCreate = newScript(mayFill + `
local now = tonumber(ARGV[1])
local c = redis.call('GET', KEYS[1])
if c then
	if c:sub(70, 77) == ARGV[2] then return struct.pack('>BI8I2B', 0, 0, 0, 0) end
	if struct.unpack('>I8', c, 138) > now then return struct.pack('>BI8I2B', 1, 0, 0, 0) end
end
local run = redis.call('HGET', KEYS[2], ARGV[3])
if run then
	local _, ends, locked = struct.unpack('>I4I8B', run)
	if locked == 1 and ends > now then return struct.pack('>BI8I2B', 5, ends, 0, 0) end
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
return struct.pack('>BI8I2B', 0, 0, 0, 0)
`)

var scriptGet = newScript(reads + loadChallenge + loadRun + `
local status = expires <= now and 2
return ` + unchanged)

var scriptAttempt = newScript(mayFill + loadChallenge + loadRun + `
local attempts = struct.unpack('>I4', c)
local again = (c:find(nonce, 5, true) or 69) <= 61
local status = not again and
	(expires <= now and 2 or outcome ~= 0 and 3 or locked == 1 and 5 or attempts >= max_attempts and 4)
if again or status then return ` + unchanged + ` end
local at, bytes = 0, struct.pack('>I4c8c56', attempts + 1, nonce, c:sub(5, 60))
redis.call('SETRANGE', KEYS[1], '0', bytes)
local forget = now + math.floor(math.max(lock, 0) / 1000)
if forget <= now and ends == 0 then return ` + changed + ` end
failures, ends = math.min(failures + 1, 4294967295), math.max(ends, forget)
if max_failures > 0 and failures >= max_failures then locked, ends = 1, forget end
if ends <= now then
	locked = 0
	redis.call('HDEL', KEYS[2], subject)
	return ` + changed + `
end
local soon = kept < ends + 60000000
if soon then kept = ends + 120000000 end
redis.call('HSET', KEYS[2], subject, struct.pack('>I4I8BI8', failures, ends, locked, kept))
if soon then
	local life = math.ceil((kept - now) / 1000)
	if redis.call('PTTL', KEYS[2]) < life then redis.call('PEXPIRE', KEYS[2], life) end
end
if not run and nonce:byte(8) < 32 then
	local some, dead = redis.call('HRANDFIELD', KEYS[2], '24', 'WITHVALUES'), {}
	for i = 1, #some, 2 do
		if struct.unpack('>I8', some[i + 1], 5) + 60000000 < now then dead[#dead + 1] = some[i] end
	end
	if #dead > 0 then redis.call('HDEL', KEYS[2], unpack(dead)) end
end
return ` + changed)

// ARGV: now, nonce, outcome. A code that is accepted ends the run, whatever it
// is.
var scriptFinish = newScript(anyhow + loadChallenge + `
local at, bytes = 68, struct.pack('>Bc8', tonumber(ARGV[3]), nonce)
if ARGV[3] == '1' and outcome == 0 and now < expires then
	local locked, ends = 0, 0
	redis.call('SETRANGE', KEYS[1], '68', bytes)
	redis.call('HDEL', KEYS[2], subject)
	return ` + changed + `
end
` + loadRun + `
local again = c:sub(70, 77) == nonce
local status = not again and (expires <= now and 2 or outcome ~= 0 and 3)
if again or status then return ` + unchanged + ` end
redis.call('SETRANGE', KEYS[1], '68', bytes)
return ` + changed)

var scriptResend = newScript(anyhow + loadChallenge + loadRun + `
local sends, next_send, latest, revision = struct.unpack('>I4I8c8I8', c, 78)
local waits = struct.unpack('>I2', c, 182)
local again = latest == nonce
local status = not again and (expires <= now and 2 or outcome ~= 0 and 3 or locked == 1 and 5 or
	sends > waits and 4 or now < next_send and 6)
if again or status then return ` + unchanged + ` end
sends, next_send = sends + 1, 0
if sends <= waits then
	next_send = now + math.floor(math.max(struct.unpack('>i8', c, 184 + 8 * (sends - 1)), 0) / 1000)
end
local at, bytes = 77, struct.pack('>I4I8c8I8', sends, next_send, nonce, revision + 1)
redis.call('SETRANGE', KEYS[1], '77', bytes)
return ` + changed)

// ARGV: now, nonce, revision, delivery.
var scriptUpdate = newScript(anyhow + loadChallenge + loadRun + `
local revision, recent = struct.unpack('>I8c32', c, 98)
local again = recent:find(nonce, 1, true)
local status = not again and (expires <= now and 2 or revision ~= tonumber(ARGV[3]) and 7)
if not again and not status then
	local delivery = struct.unpack('>I4', c, 178)
	c = c:sub(1, 97) .. struct.pack('>I8', revision + 1) .. nonce .. recent:sub(1, 24) .. c:sub(138, delivery) .. ARGV[4]
	redis.call('SET', KEYS[1], c, 'KEEPTTL')
end
return ` + unchanged)

package redisstore

// The scripts' KEYS are a challenge and the runs of failures of its bucket, a
// hash by subject: failures in a row, 4 bytes; when they are forgotten, 8;
// whether that is the end of a lock, 1. ARGV begins with now and the call's
// nonce.
//
// A bucket's runs have one key: for a key of its own, a script would have to
// make up the name of one that is not among KEYS. Those that are forgotten are
// removed by the charges that add others: of 24 picked at random, by one in 8,
// so that at most half of them are dead.

// loadChallenge begins a script that answers ” if there is no challenge. Then
// c is the record, and the rest is what all need of it and of its run. The
// answer is a status, the end of the lock, and bytes that c has changed to from
// at on; and c: to join them is left to the caller.
const loadChallenge = `
local c = redis.call('GET', KEYS[1])
if not c then return {} end
local now, nonce = tonumber(ARGV[1]), ARGV[2]
local outcome = c:byte(69)
local expires, max_attempts, max_failures, lock, subject = struct.unpack('>I8I4I4i8c16', c, 138)
local run = redis.call('HGET', KEYS[2], subject)
local failures, ends, locked = 0, 0, 0
if run then
	failures, ends, locked = struct.unpack('>I4I8B', run)
	if ends <= now then failures, ends, locked = 0, 0, 0 end
end
local function answer(status, at, bytes)
	return {struct.pack('>BI8I2', status, locked * ends, at or 0) .. (bytes or ''), c}
end
`

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
	if c:sub(70, 77) == ARGV[2] then return {struct.pack('>BI8I2', 0, 0, 0)} end
	if struct.unpack('>I8', c, 138) > now then return {struct.pack('>BI8I2', 1, 0, 0)} end
end
local run = redis.call('HGET', KEYS[2], ARGV[3])
if run then
	local _, ends, locked = struct.unpack('>I4I8B', run)
	if locked == 1 and ends > now then return {struct.pack('>BI8I2', 5, ends, 0)} end
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
return {struct.pack('>BI8I2', 0, 0, 0)}
`)

var scriptGet = newScript(reads + loadChallenge + `
if expires <= now then return answer(2) end
return answer(0)
`)

var scriptAttempt = newScript(mayFill + loadChallenge + `
local attempts, recent = struct.unpack('>I4c64', c)
if recent:find(nonce, 1, true) then return answer(0) end
if expires <= now then return answer(2) end
if outcome ~= 0 then return answer(3) end
if locked == 1 then return answer(5) end
if attempts >= max_attempts then return answer(4) end
local charged = struct.pack('>I4', attempts + 1) .. nonce .. recent:sub(1, 56)
redis.call('SETRANGE', KEYS[1], '0', charged)
local forget = now + math.floor(math.max(lock, 0) / 1000)
if forget <= now and ends == 0 then return answer(0, 0, charged) end
failures, ends = math.min(failures + 1, 4294967295), math.max(ends, forget)
if max_failures > 0 and failures >= max_failures then locked, ends = 1, forget end
if ends <= now then
	locked = 0
	redis.call('HDEL', KEYS[2], subject)
	return answer(0, 0, charged)
end
redis.call('HSET', KEYS[2], subject, struct.pack('>I4I8B', failures, ends, locked))
local life = math.ceil((ends - now) / 1000) + 60000
if redis.call('PTTL', KEYS[2]) < life then redis.call('PEXPIRE', KEYS[2], life + 60000) end
if not run and nonce:byte(8) < 32 then
	local some, dead = redis.call('HRANDFIELD', KEYS[2], '24', 'WITHVALUES'), {}
	for i = 1, #some, 2 do
		if struct.unpack('>I8', some[i + 1], 5) + 60000000 < now then dead[#dead + 1] = some[i] end
	end
	if #dead > 0 then redis.call('HDEL', KEYS[2], unpack(dead)) end
end
return answer(0, 0, charged)
`)

// ARGV: now, nonce, outcome.
var scriptFinish = newScript(anyhow + loadChallenge + `
if c:sub(70, 77) == nonce then return answer(0) end
if expires <= now then return answer(2) end
if outcome ~= 0 then return answer(3) end
local closed = struct.pack('>Bc8', tonumber(ARGV[3]), nonce)
redis.call('SETRANGE', KEYS[1], '68', closed)
if ARGV[3] == '1' then
	locked = 0
	if run then redis.call('HDEL', KEYS[2], subject) end
end
return answer(0, 68, closed)
`)

var scriptResend = newScript(anyhow + loadChallenge + `
local sends, next_send, latest, revision = struct.unpack('>I4I8c8I8', c, 78)
local waits = struct.unpack('>I2', c, 182)
if latest == nonce then return answer(0) end
if expires <= now then return answer(2) end
if outcome ~= 0 then return answer(3) end
if locked == 1 then return answer(5) end
if sends > waits then return answer(4) end
if now < next_send then return answer(6) end
sends, next_send = sends + 1, 0
if sends <= waits then
	next_send = now + math.floor(math.max(struct.unpack('>i8', c, 184 + 8 * (sends - 1)), 0) / 1000)
end
local claimed = struct.pack('>I4I8c8I8', sends, next_send, nonce, revision + 1)
redis.call('SETRANGE', KEYS[1], '77', claimed)
return answer(0, 77, claimed)
`)

// ARGV: now, nonce, revision, delivery.
var scriptUpdate = newScript(anyhow + loadChallenge + `
local revision, recent = struct.unpack('>I8c32', c, 98)
if recent:find(nonce, 1, true) then return answer(0) end
if expires <= now then return answer(2) end
if revision ~= tonumber(ARGV[3]) then return answer(7) end
local delivery = struct.unpack('>I4', c, 178)
c = c:sub(1, 97) .. struct.pack('>I8', revision + 1) .. nonce .. recent:sub(1, 24) .. c:sub(138, delivery) .. ARGV[4]
redis.call('SET', KEYS[1], c, 'KEEPTTL')
return answer(0)
`)

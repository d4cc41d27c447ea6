-- What one tick needs to know, in one round trip.
--
-- KEYS  1 state  2 quotes  3 trades  4 bars  5 patterns  6 bid levels  7 ask levels  8… metrics
-- ARGV  1 version of the state that the caller holds, "" for none
--       2 as_of, epoch ms
--       3 oldest stamp worth reading where there is no state, epoch ms
--       4 most records a key to read
--       5 most records a key may hold
--       6 lifetime of what is set aside, seconds
-- Reply {version or "", fields of the state unless the version is ARGV[1], what the state's
--        loss left behind (0/1), quotes, trades (member, score, …), records behind the fold
--        that the state does not know of, quotes, trades of the last 2 s in case there are any,
--        records stamped over 5 s ahead, scores that look like seconds, newest quote's score,
--        records behind the fold, "" or the oldest stamp left after trimming cut into what waits,
--        how many of quotes and trades have another type, how many of them hold over twice what
--        they may, how many fields each metrics key has, as_of of each unless the version is ARGV[1]}

local OLDEST = 1e12
local as_of, most_read, most_kept = tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[5])

local function set_aside(key)
  local aside = string.gsub(key, '^orderflow:', 'orderflow:bad:', 1)
  redis.call('RENAME', key, aside)
  redis.call('EXPIRE', aside, ARGV[6])
end

-- The state, set aside where it is none.

local residue = 0
local known = redis.pcall('HMGET', KEYS[1], 'version', 'as_of', 'behind', 'recent_count', 'lost_to')
if known.err then
  set_aside(KEYS[1])
  known = {}
elseif not (known[1] and tonumber(known[2]) and tonumber(known[3]) and tonumber(known[4])) then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    set_aside(KEYS[1])
    residue = 1
  end
  known = {}
end
local version = known[1] or ''
local is_warm = version ~= '' and version == ARGV[1]
local folded_to = tonumber(known[2] or ARGV[3])
local fields = {}
if version == '' then
  residue = residue + redis.call('EXISTS', KEYS[4], KEYS[5])
elseif not is_warm then
  fields = redis.call('HGETALL', KEYS[1])
end

-- The records. A key of another type is the broker's affair: left alone, and read as if it were
-- not there. A stamp may differ from its score by 1 ms: the margins are read twice and sorted out
-- by stamp. Of what is rare only its first sign is looked for: ends of a set cost nothing.

local records, wrong_type, crowded = {}, 0, 0

local function unread(key)
  local from = string.format('(%.17g', folded_to - 1)
  local found = redis.pcall(
    'ZRANGEBYSCORE', key, from, as_of + 1, 'WITHSCORES', 'LIMIT', 0, most_read
  )
  if found.err then
    wrong_type = wrong_type + 1
    return {}
  end
  local held = redis.call('ZCARD', key)
  if held > 0 then
    records[#records + 1] = key
  end
  if held > 2 * most_kept then
    crowded = crowded + 1
  end
  return found
end

local quotes, trades = unread(KEYS[2]), unread(KEYS[3])

local function count(from, to)
  local found = 0
  for _, key in ipairs(records) do
    found = found + redis.call('ZCOUNT', key, from, to)
  end
  return found
end

local function late(key)
  local found = redis.pcall(
    'ZRANGEBYSCORE', key, folded_to - 2001, folded_to + 1, 'WITHSCORES', 'LIMIT', 0, most_kept
  )
  return found.err and {} or found
end

local behind = count(OLDEST, folded_to)
local unknown, late_quotes, late_trades = 0, {}, {}
if version ~= '' then
  unknown = behind - tonumber(known[3])
  if unknown ~= 0 and count(string.format('(%.17g', folded_to - 2000), folded_to) ~= tonumber(known[4]) then
    late_quotes, late_trades = late(KEYS[2]), late(KEYS[3])
  end
end

local newest, ahead, seconds = '', 0, 0
for _, key in ipairs(records) do
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  if tonumber(last) > as_of + 5000 then
    ahead = ahead + redis.call('ZCOUNT', key, string.format('(%.17g', as_of + 5000), '+inf')
    last = redis.call(
      'ZREVRANGEBYSCORE', key, as_of + 5000, OLDEST, 'WITHSCORES', 'LIMIT', 0, 1
    )[2]
  end
  if tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) < OLDEST then
    seconds = seconds + redis.call('ZCOUNT', key, '-inf', string.format('(%.17g', OLDEST))
  end
  if key == KEYS[2] and last and tonumber(last) >= OLDEST then
    newest = last
  end
end

-- What the tick will write to, set aside where it is of another type.

local function own(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    set_aside(key)
  end
end

own(KEYS[4], 'stream')
for i = 5, 7 do
  own(KEYS[i], 'zset')
end
local lengths, shown = {}, {}
for i = 8, #KEYS do
  local length = redis.pcall('HLEN', KEYS[i])
  if type(length) == 'table' then
    set_aside(KEYS[i])
    length = 0
  end
  lengths[#lengths + 1] = length
  if not is_warm then
    shown[#shown + 1] = redis.call('HGET', KEYS[i], 'as_of') or ''
  end
end

return {
  version, fields, residue, quotes, trades, unknown, late_quotes, late_trades, ahead, seconds,
  newest, behind, known[5] or '', wrong_type, crowded, lengths, shown,
}

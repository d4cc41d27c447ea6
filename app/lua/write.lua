-- All that one tick writes, as one step, if the state is still the one that was read.
--
-- KEYS  1 state  2 quotes  3 trades  4 bars  5 patterns  6 bid levels  7 ask levels  8… metrics
-- ARGV  1 version that was read, "" for none
--       2 cmsgpack map, see writing.py, `_parcel`
--       3 how many bars follow; then end and packed bar of each, then how many fields of the state
--       go, and their names, then names and values of those that are set
-- Reply 1 if written, 0 if another worker was first

local MOST_TRIMMED = 100000
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then
  return 0
end
local p = cmsgpack.unpack(ARGV[2])
local bars = tonumber(ARGV[3])

local function owned(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    local aside = string.gsub(key, '^orderflow:', 'orderflow:bad:', 1)
    redis.call('RENAME', key, aside)
    redis.call('EXPIRE', aside, p.bad_lifetime)
  end
end

owned(KEYS[4], 'stream')
for i = 5, 7 do
  owned(KEYS[i], 'zset')
end

-- A state that is built anew piece by piece starts in the past: what is published stays until
-- that is caught up with, for a published as_of never goes back.
for i, window in ipairs(p.metrics) do
  owned(KEYS[7 + i], 'hash')
  local shown = tonumber(redis.call('HGET', KEYS[7 + i], 'as_of') or 0) or 0
  if shown <= p.as_of then
    redis.call('DEL', KEYS[7 + i])
    redis.call('HSET', KEYS[7 + i], unpack(window.fields))
    redis.call('EXPIRE', KEYS[7 + i], window.lifetime)
  end
end

local function remove(opened_at, start)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], opened_at, opened_at)) do
    if string.sub(member, 1, #start) == start then
      redis.call('ZREM', KEYS[5], member)
    end
  end
end

if p.oldest_event then
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', p.oldest_event)
end
for _, event in ipairs(p.events) do
  remove(event[1], event[2])
  if event[3] then
    redis.call('ZADD', KEYS[5], event[1], event[3])
  end
end
if #p.events > 0 or p.oldest_event then
  redis.call('EXPIRE', KEYS[5], p.patterns_lifetime)
end

for side = 1, 2 do
  local members = p.levels[side]
  if members then
    if members.anew then
      redis.call('DEL', KEYS[5 + side])
    end
    if #members.gone > 0 then
      redis.call('ZREM', KEYS[5 + side], unpack(members.gone))
    end
    if #members.new > 0 then
      redis.call('ZADD', KEYS[5 + side], unpack(members.new))
    end
  end
  if members or p.oldest_event then
    redis.call('EXPIRE', KEYS[5 + side], p.levels_lifetime)
  end
end

for i = 4, 2 + 2 * bars, 2 do
  local added = redis.pcall('XADD', KEYS[4], ARGV[i] .. '-0', 'b', ARGV[i + 1])
  -- Kept already where a state was lost and is built anew.
  if added.err and not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end
if bars > 0 then
  redis.call('EXPIRE', KEYS[4], p.bars_lifetime)
end

local behind, lost_to = p.behind, nil

local function trim(key)
  if p.oldest_record then
    behind = behind - redis.call('ZREMRANGEBYSCORE', key, 1e12, p.oldest_record)
  end
  -- Not all at once: a million members would hold Redis up for two seconds.
  local excess = math.min(redis.call('ZCOUNT', key, 1e12, '+inf') - p.most_records, MOST_TRIMMED)
  if excess > 0 then
    local first = redis.call('ZCOUNT', key, '-inf', '(1e12')
    local folded = redis.call('ZCOUNT', key, 1e12, p.as_of)
    redis.call('ZREMRANGEBYRANK', key, first, first + excess - 1)
    behind = behind - math.min(excess, folded)
    if excess > folded then
      local oldest = redis.call('ZRANGE', key, first, first, 'WITHSCORES')[2]
      if not lost_to or tonumber(oldest) > tonumber(lost_to) then
        lost_to = oldest
      end
    end
  end
end

redis.call('HDEL', KEYS[1], 'lost_to')
if p.oldest_event then
  redis.call('XTRIM', KEYS[4], 'MINID', '~', p.oldest_bar)
end
for i = 2, 3 do
  -- A key of another type is the broker's affair: left alone, and told by read.lua.
  if redis.call('TYPE', KEYS[i]).ok == 'zset' then
    if p.oldest_record or redis.call('ZCARD', KEYS[i]) > 2 * p.most_records then
      trim(KEYS[i])
    end
  end
end
if lost_to then
  redis.call('HSET', KEYS[1], 'lost_to', lost_to)
end

local first = 5 + 2 * bars
local gone = tonumber(ARGV[first - 1])
if gone > 0 then
  redis.call('HDEL', KEYS[1], unpack(ARGV, first, first + gone - 1))
end
redis.call('HSET', KEYS[1], 'behind', behind, unpack(ARGV, first + gone))
redis.call('EXPIRE', KEYS[1], p.state_lifetime)
redis.call('PUBLISH', p.channel, p.as_of)
return 1

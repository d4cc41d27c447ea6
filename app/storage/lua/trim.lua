-- Trim the broker's records to the retention and to the maximum number in a key.
--
-- KEYS  1 state  2 quotes  3 trades
-- ARGV  1 as_of up to which records are folded
--       2 upper bound of the scores to remove, for ZREMRANGEBYSCORE; "" trims by number only
--       3 maximum number of records in a key
-- Subtracts the removed records that were folded from `behind` in the state. If records were removed
-- that were not folded yet, sets `lost_to` to the oldest score that is left.

local MOST_TRIMMED = 100000
local as_of, most = ARGV[1], tonumber(ARGV[3])
local behind, lost_to = 0, nil

local function trim(key)
  if ARGV[2] ~= '' then
    behind = behind - redis.call('ZREMRANGEBYSCORE', key, 1e12, ARGV[2])
  end
  -- A limited number at once: removing a million members would block Redis for two seconds.
  local excess = math.min(redis.call('ZCOUNT', key, 1e12, '+inf') - most, MOST_TRIMMED)
  if excess > 0 then
    local first = redis.call('ZCOUNT', key, '-inf', '(1e12')
    local folded = redis.call('ZCOUNT', key, 1e12, as_of)
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

for i = 2, 3 do
  -- A key of the wrong type is left alone: the read counts it.
  if redis.call('TYPE', KEYS[i]).ok == 'zset' then
    trim(KEYS[i])
  end
end
redis.call('HINCRBY', KEYS[1], 'behind', behind)
if lost_to then
  redis.call('HSET', KEYS[1], 'lost_to', lost_to)
end

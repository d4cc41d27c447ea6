-- Cut records that are too long, in place. These lines go before those of other scripts.
--
-- A record over 4 KiB is rejected for its length, however long it is. So that no one reads all of it
-- again, the first script that meets it stores its beginning instead, still too long, with the same
-- score, and with an end of its own: equal beginnings would be one member.

local LONGEST, CUT_LONGEST = 4096, 4300
local shortened_bytes, shortened_number = 0, 0

local function shorten(key, record, score)
  if #record <= CUT_LONGEST then
    return false
  end
  local time = redis.call('TIME')
  shortened_bytes, shortened_number = shortened_bytes + #record, shortened_number + 1
  local ending = string.format('... %.0f bytes %s.%06d.%d', #record, time[1], time[2], shortened_number)
  redis.call('ZREM', key, record)
  redis.call('ZADD', key, score, string.sub(record, 1, LONGEST + 1) .. ending)
  return true
end

-- Return the score of the record at a rank, nil without one; it is cut if it is too long.
local function score_at(key, rank)
  local found = redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')
  if found[1] then
    shorten(key, found[1], found[2])
  end
  return found[2]
end

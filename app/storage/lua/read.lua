-- Return the records of a range of scores, bounded in number and in bytes.
--
-- KEYS  sorted sets of records
-- ARGV  1 and 2 least and greatest score, as ZRANGEBYSCORE takes them  3 how many to leave out
--       4 greatest number of records of a key  5 number of bytes after which a key is read no further
--
-- Returns for each key the records, each followed by its score, and a status. The status is 0 if
-- these are all records of the range, 1 if a bound was reached, 2 if so many bytes of too long
-- records were cut that the next call must go on, -1 if the key is no sorted set.

local MOST_CUT = 16e6
local most_bytes = tonumber(ARGV[5])

-- Cut those of some records that are too long; return whether there were any, and the bytes of all.
local function shorten_all(key, found)
  local bytes, is_cut = 0, false
  for i = 1, #found, 2 do
    bytes = bytes + #found[i]
    if #found[i] > LONGEST and shorten(key, found[i], found[i + 1]) then
      is_cut = true
    end
  end
  return is_cut, bytes
end

local function read(key)
  local place, left, bytes, records = tonumber(ARGV[3]), tonumber(ARGV[4]), 0, nil
  -- In small steps: Redis holds a step whole, however long its records are.
  local step = 32
  while left > 0 and bytes < most_bytes do
    step = math.min(step, left)
    local found = redis.pcall('ZRANGEBYSCORE', key, ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', place, step)
    if found.err then
      return {}, -1
    end
    local is_cut, found_bytes = shorten_all(key, found)
    if not is_cut then
      if records then
        for i = 1, #found do
          records[#records + 1] = found[i]
        end
      else
        records = found
      end
      if #found < 2 * step then
        return records, 0
      end
      bytes, place, left = bytes + found_bytes, place + step, left - step
      step = math.min(2 * step, 128)
    elseif shortened_bytes > MOST_CUT then
      return records or {}, 2
    end
    -- Otherwise again from the same place: a cut record may stand elsewhere among those of its score.
  end
  return records or {}, 1
end

local answer = {}
for i = 1, #KEYS do
  local records, status = read(KEYS[i])
  answer[2 * i - 1], answer[2 * i] = records, status
end
return answer

-- What a session's head sums up of its events: `counts`, three numbers, and `open`, lines of agent, kind, name and event
-- id; see docs/format.md. What an event changes of them, `state/summary.py` says, and a batch brings along, as text: three
-- numbers to add and a line end, if one is not 0; then steps, each with a line end: how, the agent, how lines begin that it
-- is about, and the revision of the event that a line of its own names, if it adds one.
local MOST_BYTES = 8192
-- The first line where others have gone.
local CUT = '\n\tcut\t\t0-0'

-- The lines after these steps.
local function opened(lines, steps, ms)
    local at, how, agent, rest, revision = 1, nil, nil, nil, nil
    while at <= #steps do
        how, agent, rest, revision, at = string.match(steps, '^(.)([^\t\n]*\t)(.-)(%d*)\n()', at)
        if lines == '' or how == '+' then
        elseif how == '!' then
            lines = string.gsub(lines, '\n[^\t]*\t(%l+)[^\n]*', { running = '', tool = '', failed = '' })
        elseif how == '?' then
            if string.find(lines, '\n' .. agent .. string.match(rest, '^%l+\t'), 1, true) then revision = '' end
        else
            local beginning = how == '=' and '\n' .. agent or '\n' .. agent .. rest
            local from = string.find(lines, beginning, 1, true)
            while from do
                local to = string.find(lines, '\n', from + 1, true)
                lines = string.sub(lines, 1, from - 1) .. (to and string.sub(lines, to) or '')
                from = to and how ~= '-' and string.find(lines, beginning, from, true)
            end
        end
        if revision ~= '' then lines = lines .. '\n' .. agent .. rest .. ms .. '-' .. revision end
        -- At once, and whatever stands there: events are written by now, so nothing may fail here, or take long.
        local from = #lines - MOST_BYTES + 1
        if from > 1 then lines = CUT .. string.sub(lines, string.find(lines, '\n', from + #CUT, true) or #lines + 1) end
    end
    return lines
end

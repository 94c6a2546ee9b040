# A stand-in for `codex exec` 0.169 that plays samples of the real one. What it plays, by its environment:
#   PLAY    sample of its stdout; ERR sample of its stderr
#   HOLD    then waits for this file; THEN plays another sample. An interrupt ends the wait as in the real one, unless
#           DEAF is set
#   TOOL    before that, starts a tool in a session of its own
#   WRAP    is a wrapper around itself, as the npm package's launcher is; WRAP=dies kills itself once the other waits
#   LINGER  stays after that; DIE kills itself; EXIT is its exit code
# It notes its command lines in $AGENT_HOME/log, and what it does in $AGENT_HOME/did.
if [ -n "$WRAP" ]; then
    if [ "$WRAP" = dies ]; then
        (
            while [ ! -e "$AGENT_HOME/waits" ]; do sleep 0.02; done
            kill -9 $$
        ) &
        WRAP= sh "$0" "$@"
        exit 0
    fi
    trap : INT
    WRAP= sh "$0" "$@"
    exit $?
fi
echo "$*" >> "$AGENT_HOME/log"
echo "$CODEX_HOME $(pwd)" >> "$AGENT_HOME/places"
cat > "$AGENT_HOME/prompt"
play() { [ -z "$1" ] || cat "$SAMPLES/$1"; }
aborted() {
    [ -n "$DEAF" ] || { echo aborted >> "$AGENT_HOME/did"; exit 1; }
}
trap aborted INT
play "$PLAY"
play "$ERR" >&2
[ -z "$TOOL" ] || { $(command -v setsid) sleep 300 > /dev/null 2>&1 & echo $! >> "$AGENT_HOME/tools"; }
if [ -n "$HOLD" ]; then
    touch "$AGENT_HOME/waits"
    while [ ! -e "$AGENT_HOME/$HOLD" ]; do sleep 0.05; done
fi
play "$THEN"
if [ -n "$LINGER" ]; then
    echo $$ > "$AGENT_HOME/lingers.new"
    mv "$AGENT_HOME/lingers.new" "$AGENT_HOME/lingers"
    while :; do sleep 0.05; done
fi
if [ -n "$DIE" ]; then
    touch "$AGENT_HOME/died"
    kill -9 $$
fi
exit "${EXIT:-0}"

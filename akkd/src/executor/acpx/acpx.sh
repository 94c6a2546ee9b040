# A stand-in for acpx 0.19 that plays samples of the real one. What it plays, by its environment:
#   ENSURE  sample of `sessions ensure` (created); `hangs` never answers
#   PLAY    sample of a prompt's output, then: HOLD waits for this file, THEN plays another sample (after a cancel:
#           `cancelled`), DIE kills itself, EXIT is its exit code
#   WATCH   sample of `sessions watch`
# It notes its command lines in $AGENT_HOME/log.
echo "$*" >> "$AGENT_HOME/log"
play() { [ -z "$1" ] || cat "$SAMPLES/$1.jsonl"; }
case " $* " in
*" sessions ensure "*)
    [ "$ENSURE" != hangs ] || exec sleep 300
    cat "$SAMPLES/ensure-${ENSURE:-created}.json"
    case "${ENSURE:-created}" in created | existing) exit 0 ;; *) exit 1 ;; esac
    ;;
*" cancel "*)
    touch "$AGENT_HOME/cancelled"
    cat "$SAMPLES/cancel.json"
    ;;
*" status "*)
    echo "{\"action\":\"status_snapshot\",\"status\":\"${STATUS:-dead}\"}"
    ;;
*" sessions close "*)
    cat "$SAMPLES/close.json"
    ;;
*" sessions watch "*)
    play "$WATCH"
    case "$WATCH" in watch) exec sleep 300 ;; *) exit 1 ;; esac
    ;;
*" prompt "*)
    cat > "$AGENT_HOME/prompt"
    # The queue owner: a session of its own, and no child of ours.
    ($(command -v setsid) sleep 300 > /dev/null 2>&1 & echo $! >> "$AGENT_HOME/owners")
    play "$PLAY"
    if [ -n "$HOLD" ]; then
        while [ ! -e "$AGENT_HOME/$HOLD" ]; do sleep 0.05; done
        [ "$HOLD" = cancelled ] && play cancelled
        play "$THEN"
    fi
    if [ -n "$DIE" ]; then
        touch "$AGENT_HOME/died"
        kill -9 $$
    fi
    exit "${EXIT:-0}"
    ;;
*) exit 2 ;;
esac

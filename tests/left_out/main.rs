//! Not a test: names, after the stories, those that left themselves out, and why.

#![expect(clippy::print_stdout, reason = "this program is a notice")]

fn main() {
    // nextest asks every test program for its tests.
    if std::env::args().any(|a| a == "--list") {
        return;
    }
    let file = akk_tests::peers::left_out_file();
    let Ok(stories) = std::fs::read_to_string(&file) else {
        println!("\nleft out: nothing\n");
        return;
    };
    let mut stories: Vec<_> = stories.lines().collect();
    stories.sort_unstable();
    println!("\nleft out: {} stories:", stories.len());
    for story in stories {
        println!("  {story}");
    }
    println!("Those with real peers need npm (Node.js).\n");
    if let Err(e) = std::fs::remove_file(&file) {
        println!("{}: {e}", file.display());
    }
}

use akk_tests::Home;
use akk_tests::codex::{Codex, say};

#[tokio::test]
async fn probe() {
    let home = Home::new();
    let codex = Codex::new(&home, "probe").unwrap();
    let t = std::time::Instant::now();
    let id = codex.session("RUN echo hi;;SAY fine").await;
    println!("{id} {:?} {:?}", codex.rollout(&id), t.elapsed());
    let t = std::time::Instant::now();
    let mut terminal = codex.terminal(&[]).await;
    println!("{:?}\n{}", t.elapsed(), terminal.shown());
    say(&terminal, "RUN echo hi;;SAY Salutations").await;
    terminal.shows("• Salutations").await;
    println!("{:?}\n{}", t.elapsed(), terminal.shown());
    say(&terminal, "/quit").await;
    terminal.ended().await;
    for a in codex.model.asked() { println!("{} {} {} {}", a.prompt, a.step, a.model, a.aside); }
    for l in codex.listing() { println!("{l:?}"); }
    println!("{:#?}", akk_tests::processes::of(home.root()));
}

use crate::example::Example;

#[tokio::test]
async fn keeps_what_is_written() {
    let example = Example::start::<&str>("minimal_server", &[]);
    let mut session = example.session("writer").await;
    let file = session.open("file").await;
    session.write(&file, 0, b"hello").await;
    assert_eq!(&session.read(&file, 0, 100).await.data.0[..], b"hello");
    session.close(&file).await;
    example.stop();
}

using DeepSeekOps.ControlPlane.Api.Calls;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

public sealed class SharedLookTests
{
    private readonly FakeTimeProvider clock = new();
    private readonly List<TaskCompletionSource<string>> looks = [];

    [Fact]
    public async Task Who_asks_while_one_looks_is_given_what_is_seen_after_with_all_others()
    {
        var shared = Look();
        var first = shared.Now();
        await Begun(1);
        Task<string>[] later = [.. Enumerable.Range(0, 50).Select(_ => shared.Now())];
        looks[0].SetResult("old");
        Assert.Equal("old", await first);
        await Begun(2);
        looks[1].SetResult("new");
        Assert.All(await Task.WhenAll(later), seen => Assert.Equal("new", seen));
        Assert.Equal(2, looks.Count);
    }

    [Fact]
    public async Task Who_watches_is_given_what_was_seen_lately()
    {
        var shared = Look();
        Task<string>[] watching = [.. Enumerable.Range(0, 50).Select(_ => shared.Lately(TimeSpan.FromSeconds(1)))];
        await Begun(1);
        looks[0].SetResult("seen");
        Assert.All(await Task.WhenAll(watching), seen => Assert.Equal("seen", seen));
        clock.Advance(TimeSpan.FromSeconds(0.9));
        Assert.Equal("seen", await shared.Lately(TimeSpan.FromSeconds(1)));
        clock.Advance(TimeSpan.FromSeconds(0.1));
        var next = shared.Lately(TimeSpan.FromSeconds(1));
        await Begun(2);
        looks[1].SetResult("seen again");
        Assert.Equal("seen again", await next);
    }

    [Fact]
    public async Task A_look_that_fails_is_told_to_who_asked_and_made_again()
    {
        var shared = Look();
        var first = shared.Now();
        await Begun(1);
        var second = shared.Now();
        looks[0].SetException(new IOException("away"));
        await Assert.ThrowsAsync<IOException>(() => first);
        await Begun(2);
        looks[1].SetResult("back");
        Assert.Equal("back", await second);
        Assert.Equal("back", await shared.Lately(TimeSpan.FromSeconds(1)));
    }

    private SharedLook<string> Look() => new(() =>
    {
        var look = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (looks)
        {
            looks.Add(look);
        }
        return look.Task;
    }, clock);

    private async Task Begun(int count)
    {
        while (true)
        {
            lock (looks)
            {
                if (looks.Count >= count)
                {
                    return;
                }
            }
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }
    }
}

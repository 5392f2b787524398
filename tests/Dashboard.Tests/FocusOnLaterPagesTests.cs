using Bunit;
using DeepSeekOps.Dashboard.Pages.Try;
using DeepSeekOps.Dashboard.Shell;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class FocusOnLaterPagesTests : PageTest
{
    [Fact]
    public void The_page_loaded_first_keeps_its_focus_and_each_later_one_gives_it_to_its_heading()
    {
        var focus = Render<FocusOnLaterPages>(p => p.Add(f => f.RouteData, To<TryPage>()).Add(f => f.Selector, "h1"));
        Assert.Empty(JSInterop.Invocations);
        focus.Render(p => p.Add(f => f.RouteData, To<TryPage>()));
        Assert.Empty(JSInterop.Invocations);
        focus.Render(p => p.Add(f => f.RouteData, To<Notice>()));
        Assert.Equal("h1", Assert.Single(JSInterop.Invocations).Arguments[0]);
        focus.Render(p => p.Add(f => f.RouteData, To<TryPage>()));
        Assert.Equal(2, JSInterop.Invocations.Count);
    }

    private static RouteData To<T>()
        where T : IComponent => new(typeof(T), new Dictionary<string, object?>());
}

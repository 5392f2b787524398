using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using Orleans.Runtime;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>What a control plane needs beside the rest when it is one of several.</summary>
internal static partial class Silos
{
    public static void AddSilos(this IServiceCollection services)
    {
        services.AddSingleton<SiloTidings>();
        services.AddHostedService(provider => provider.GetRequiredService<SiloTidings>());
        services.AddHostedService<LostSilos>();
        services.AddSingleton<IFatalErrorHandler, DeadByTable>();
        services.AddSingleton(provider => new Standing(() => provider.GetRequiredService<PostgresHold>().Speaks));
    }

    /// <summary>
    /// Orleans ends the process in the middle of whatever it does where it finds itself called dead. Here the hold finds it too, within a
    /// second, and the end has its words and its exit code.
    /// </summary>
    private sealed partial class DeadByTable(ILogger<DeadByTable> log, PostgresHold hold) : IFatalErrorHandler
    {
        public bool IsUnexpected(Exception exception) => exception is not ThreadAbortException;

        public void OnFatalException(object? sender = null, string? context = null, Exception? exception = null)
        {
            string why = context ?? exception?.Message ?? "Orleans does not say why";
            LogFatal(exception, why);
            hold.Lose(why);
        }

        [LoggerMessage(Level = LogLevel.Critical, Message = "This silo cannot go on: {Why}")]
        private partial void LogFatal(Exception? failure, string why);
    }
}
